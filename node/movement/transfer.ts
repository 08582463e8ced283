import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { matchesChecksum } from '../files/chunk-checksum.ts';
import type { PeerCalls } from '../files/peer-calls.ts';
import type { ChunkInfo, Store } from '../store/store.ts';
import type { Pacer, Urgency } from './pacer.ts';
import { callPatiently } from './patient-calls.ts';
import type { ProgressMeter } from './progress.ts';

export interface TransferOptions {
  readonly store: Store;
  readonly calls: PeerCalls;
  readonly pacer: Pacer;
  readonly progress: ProgressMeter;
  /** Told of each record that arrived. */
  readonly onRecord: (name: string) => void;
}

export interface Route {
  readonly member: RingMember;
  readonly urgency: Urgency;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 10_000;

/** Copies single records and chunks between this node and another, verified on both ends. Every step may be repeated. */
export class Transfer {
  readonly #options: TransferOptions;

  constructor(options: TransferOptions) {
    this.#options = options;
  }

  /**
   * Fetches the newest version the member has of a record; with `withContent`, also the only chunk of a small file,
   * in the same round and stored first, so that the record is never there without it.
   */
  async pullRecord(
    brief: FileRecord,
    { withContent, ...route }: Route & { readonly withContent: boolean },
  ): Promise<void> {
    const { store, pacer, progress, onRecord } = this.#options;
    const { name, uploadId, sizeBytes } = brief;
    const isSmall = !brief.deleted && sizeBytes > 0 && sizeBytes <= CHUNK_SIZE_BYTES;
    const isHere = isSmall && store.getChunk({ key: hashName(name), uploadId, index: 0 }) !== undefined;
    const wantsContent = withContent && isSmall && !isHere;
    await pacer.run({ ...route, sizeBytes: wantsContent ? sizeBytes : 0 }, async () => {
      const request = {
        name,
        role: 'replica' as const,
        inlineLimitBytes: wantsContent ? CHUNK_SIZE_BYTES : 0,
      };
      const { reply, payload } = await this.#call(route, 'read-record', request);
      if (reply.isBusy === true) pacer.peerIsBusy();
      // Gone since it was listed: dropped there as confirmed by others, who will be compared with as well.
      if (reply.record === undefined) return;
      const [ref] = reply.record.chunks;
      if (payload !== undefined && ref !== undefined && (await matchesChecksum(payload, ref))) {
        const id = { key: ref.key, uploadId: reply.record.uploadId, index: 0 };
        const { sha256, sizeBytes } = ref;
        await store.putChunk({ ...id, name, sha256, sizeBytes }, payload, { isChecked: true });
        progress.moved(payload.byteLength, { isFile: false });
      }
      await store.putRecord(reply.record);
      progress.moved(0, { isFile: true });
      onRecord(name);
    });
  }

  /** Whether the chunk is here now. False when the member has no intact copy any more. */
  async pullChunk(info: ChunkInfo, route: Route): Promise<boolean> {
    const { store, pacer, progress } = this.#options;
    const { key, uploadId, index, name, sha256, sizeBytes } = info;
    const id = { key, uploadId, index };
    return await pacer.run({ ...route, sizeBytes }, async () => {
      if (store.getChunk(id) !== undefined) return true;
      const { payload = new Uint8Array(), reply } = await this.#call(route, 'get-chunk', { chunk: id });
      if (reply.isBusy === true) pacer.peerIsBusy();
      // Verified before it is kept: damage must not spread by being repaired from.
      if (!reply.found || !(await matchesChecksum(payload, { sha256, sizeBytes }))) return false;
      await store.putChunk({ ...id, name, sha256, sizeBytes }, payload, { isChecked: true });
      progress.moved(sizeBytes, { isFile: false });
      return true;
    });
  }

  /** Whether the member has the chunk now. False when this node's own copy turns out to be damaged or gone. */
  async pushChunk(info: ChunkInfo, route: Route): Promise<boolean> {
    const { store, pacer, progress } = this.#options;
    const { key, uploadId, index, name, sha256, sizeBytes } = info;
    return await pacer.run({ ...route, sizeBytes }, async () => {
      const payload = await store.readChunk({ key, uploadId, index });
      if (payload === undefined) return false;
      await this.#call(
        route,
        'put-chunk',
        { chunk: { key, uploadId, index, name, sha256, sizeBytes } },
        payload,
      );
      progress.moved(sizeBytes, { isFile: false });
      return true;
    });
  }

  /** Gives the member this node's version of a record, if it still has one. */
  async pushRecord(name: string, route: Route): Promise<void> {
    const { store, pacer, progress } = this.#options;
    await pacer.run({ ...route, sizeBytes: 0 }, async () => {
      const record = store.getRecord(name);
      if (record === undefined) return;
      await this.#call(route, 'put-record', { record, withChunk: false });
      progress.moved(0, { isFile: true });
    });
  }

  async #call<O extends 'read-record' | 'get-chunk' | 'put-chunk' | 'put-record'>(
    { member, signal }: Route,
    operation: O,
    request: Parameters<typeof this.calls.call<O>>[2],
    payload?: Uint8Array,
  ) {
    return await callPatiently(this.calls, member, operation, request, {
      signal,
      timeoutMs: TIMEOUT_MS,
      payload,
    });
  }

  get calls(): PeerCalls {
    return this.#options.calls;
  }
}
