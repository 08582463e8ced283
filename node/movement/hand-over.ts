import { hashName } from '../../domain/file-key.ts';
import { identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Arc, Store } from '../store/store.ts';
import type { Urgency } from './pacer.ts';
import type { ProgressMeter } from './progress.ts';
import { chunkIdOf, diffChunks, diffRecords } from './replica-diff.ts';
import { allOrFirstFailure, type Transfer } from './transfer.ts';

export interface HandOverOptions {
  readonly store: Store;
  readonly transfer: Transfer;
  readonly progress: ProgressMeter;
}

export interface HandOverRequest {
  readonly arc: Arc;
  /** Who must have everything of this arc that this node has. */
  readonly targets: readonly RingMember[];
  readonly urgency: Urgency;
  readonly signal: AbortSignal;
}

const DROP_PAGE = 500;

/** Whoever holds data that is not his must get it home: the other direction of movement. */
export class HandOver {
  readonly #options: HandOverOptions;

  constructor(options: HandOverOptions) {
    this.#options = options;
  }

  /**
   * Resolves to how many items had to be given away; when it resolves, every target holds every record and chunk
   * (or a newer version) that this node had in the arc when the comparison began.
   */
  async confirm({ arc, targets, urgency, signal }: HandOverRequest): Promise<number> {
    const { store, transfer, progress } = this.#options;
    let givenCount = 0;
    for (const member of targets) {
      const route = { member, urgency, signal };
      const options = { store, calls: transfer.calls, member, arc, signal };
      // Chunks first: a record must not arrive where its content has not.
      for await (const { lackingThere } of diffChunks(options)) {
        progress.found(lackingThere.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
        givenCount += lackingThere.length;
        await allOrFirstFailure(lackingThere.map((info) => transfer.pushChunk(info, route)));
      }
      for await (const { lackingThere } of diffRecords(options)) {
        givenCount += lackingThere.length;
        await allOrFirstFailure(lackingThere.map((record) => transfer.pushRecord(record, route)));
      }
    }
    return givenCount;
  }

  /**
   * Gives away and then drops what this node holds of an arc that is not its own, page by page, each page only after
   * every rightful replica has confirmed it. `isStillForeign` is asked before every single removal.
   */
  async bringHome(request: HandOverRequest & { readonly isStillForeign: () => boolean }): Promise<void> {
    await this.#dropRecords(request);
    await this.#dropChunks(request);
  }

  async #dropRecords(request: HandOverRequest & { readonly isStillForeign: () => boolean }): Promise<void> {
    const { store } = this.#options;
    for (let page = store.scanRecords(request.arc, { limit: DROP_PAGE }); page.length > 0; ) {
      const last = page.at(-1);
      // Everything up to the last position of the page, which may hold more names than the page: they are confirmed too.
      const covered =
        last === undefined ? request.arc : { from: request.arc.from, to: identifier(hashName(last.name)) };
      await this.confirm({ ...request, arc: covered });
      for (const { name, version } of page) {
        if (!request.isStillForeign()) return;
        await store.hideFile(name);
        await store.removeRecord(name, version);
      }
      const following = store.scanRecords(request.arc, { limit: DROP_PAGE });
      // Nothing could be removed: newer versions keep arriving from members that have not seen the change yet.
      if (following[0]?.name === page[0]?.name) return;
      page = following;
    }
  }

  async #dropChunks(request: HandOverRequest & { readonly isStillForeign: () => boolean }): Promise<void> {
    const { store } = this.#options;
    for (let page = store.scanChunks(request.arc, { limit: DROP_PAGE }); page.length > 0; ) {
      const last = page.at(-1);
      const covered = last === undefined ? request.arc : { from: request.arc.from, to: last.key };
      await this.confirm({ ...request, arc: covered });
      for (const info of page) {
        if (!request.isStillForeign()) return;
        const id = chunkIdOf(info);
        if (id !== undefined) await store.removeChunk(id);
      }
      page = store.scanChunks(request.arc, { limit: DROP_PAGE });
    }
  }
}
