import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import { inArc } from '../../domain/identifier.ts';
import { readRecord } from '../files/record-reader.ts';
import type { Ring } from '../ring/ring.ts';
import type { Arc, Store } from '../store/store.ts';
import { localRecords } from './replica-diff.ts';

/**
 * Keeps the node's `files/` folder showing the single-chunk files it owns. Done beside the writes, one at a time: it
 * is for people who look, and no upload waits for it.
 */
export class Exposure {
  readonly #ring: Pick<Ring, 'snapshot' | 'owns'>;
  readonly #store: Store;
  readonly #onBug: (error: unknown) => void;
  readonly #pending = new Set<string>();
  #isRunning = false;
  /** Several while a newcomer inside the own arc is still joining. */
  #ownArcs: readonly Arc[] = [];

  constructor(options: {
    readonly ring: Pick<Ring, 'snapshot' | 'owns'>;
    readonly store: Store;
    readonly onBug: (error: unknown) => void;
  }) {
    this.#ring = options.ring;
    this.#store = options.store;
    this.#onBug = options.onBug;
  }

  recordChanged(name: string): void {
    this.#pending.add(name);
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#work().catch(this.#onBug);
  }

  /** After the own arc changed: files gained are shown, files given up hidden. */
  ownArcsChanged(arcs: readonly Arc[]): void {
    const before = this.#ownArcs;
    if (arcsKey(before) === arcsKey(arcs)) return;
    this.#ownArcs = arcs;
    for (const arc of [...before, ...arcs]) {
      for (const { name } of localRecords(this.#store, arc)) this.recordChanged(name);
    }
  }

  async #work(): Promise<void> {
    try {
      for (const name of this.#pending) {
        this.#pending.delete(name);
        const record = readRecord(this.#store, name);
        if (record !== 'damaged') await this.#show(name, record).catch(ignoreOperating);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  async #show(name: string, record: FileRecord | undefined): Promise<void> {
    const isShown = record !== undefined && !record.deleted && record.chunks.length <= 1 && this.#isOwn(name);
    if (isShown) await this.#store.exposeFile(record);
    else await this.#store.hideFile(name);
  }

  /** By the view, not by the lease: files should not vanish from the folder while a lease is being renewed. */
  #isOwn(name: string): boolean {
    const key = hashName(name);
    if (this.#ring.owns(key)) return true;
    return this.#ownArcs.some(({ from, to }) => inArc(key, from, to));
  }
}

function arcsKey(arcs: readonly Arc[]): string {
  return arcs.map(({ from, to }) => `${from}-${to}`).join();
}

/** A folder that cannot be written shows less; the files themselves are not in it. */
function ignoreOperating(error: unknown): void {
  if (!(error instanceof ChordfsError)) throw error;
}
