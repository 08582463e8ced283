import { setImmediate, setTimeout } from 'node:timers/promises';
import type { IndexedChunk } from './chunk-table.ts';

export interface ScrubOptions {
  /**
   * How fast chunks are read. Raised: damage is found sooner, clients wait longer. At 8 MiB/s a volume of 200 GiB takes
   * seven hours.
   */
  readonly bytesPerSecond: number;
  /** Rest between two passes over everything. */
  readonly pauseMs: number;
}

export interface Scrubbed {
  readonly shards: readonly string[];
  /** Removes files without an index entry from one folder. */
  sweep(shard: string): Promise<void>;
  /** Removes names from the `files/` folder that no live file has, and old evidence. */
  tidy(): Promise<void>;
  /** Verifies some records; the key to go on from, or undefined after the last. */
  verifyRecords(from: Uint8Array | undefined, limit: number): Uint8Array | undefined;
  chunksFrom(
    from: Uint8Array | undefined,
    limit: number,
  ): { readonly chunks: readonly IndexedChunk[]; readonly next: Uint8Array | undefined };
  /** False when the copy was bad; it is dealt with then. */
  verifyChunk(chunk: IndexedChunk): Promise<boolean>;
  markVerified(chunks: readonly IndexedChunk[]): Promise<void>;
  getCursor(): string | undefined;
  setCursor(cursor: string): Promise<void>;
}

/** Records between two turns of the event loop: about a millisecond. */
const RECORD_BATCH = 500;
/** Chunks between two commits of the cursor. */
const CHUNK_BATCH = 32;

/**
 * Reads everything again, slowly, for ever: damage is found while there are still good copies to repair from. A
 * pass goes on after a restart where it was.
 */
export class Scrubber {
  readonly #store: Scrubbed;
  readonly #options: ScrubOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(store: Scrubbed, options: ScrubOptions) {
    this.#store = store;
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** One pass: leftovers, records, then the chunks from the cursor on. */
  async pass(): Promise<void> {
    for (const shard of this.#store.shards) {
      if (this.#stop.signal.aborted) return;
      await this.#store.sweep(shard);
      await setImmediate();
    }
    await this.#store.tidy();
    let record: Uint8Array | undefined;
    do {
      record = this.#store.verifyRecords(record, RECORD_BATCH);
      await setImmediate();
    } while (record !== undefined && !this.#stop.signal.aborted);
    await this.#scrubChunks();
  }

  async #scrubChunks(): Promise<void> {
    const cursor = this.#store.getCursor();
    let from: Uint8Array | undefined =
      cursor === undefined || cursor === '' ? undefined : Buffer.from(cursor, 'hex');
    do {
      const { chunks, next } = this.#store.chunksFrom(from, CHUNK_BATCH);
      const good: IndexedChunk[] = [];
      for (const chunk of chunks) {
        if (await this.#store.verifyChunk(chunk)) good.push(chunk);
        await this.#rest((chunk.sizeBytes / this.#options.bytesPerSecond) * 1_000);
        if (this.#stop.signal.aborted) return;
      }
      await this.#store.markVerified(good);
      await this.#store.setCursor(next === undefined ? '' : Buffer.from(next).toString('hex'));
      from = next;
    } while (from !== undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.pass();
      } catch {
        // A failed disk has told its owner already, and a full one has no room for the cursor. The next pass sees.
      }
      await this.#rest(this.#options.pauseMs);
    }
  }

  async #rest(durationMs: number): Promise<void> {
    if (durationMs < 1) {
      await setImmediate();
      return;
    }
    try {
      await setTimeout(durationMs, undefined, { signal: this.#stop.signal, ref: false });
    } catch {
      // Aborted: the loop around looks at the signal.
    }
  }
}
