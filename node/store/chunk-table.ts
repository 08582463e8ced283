import { CountedTable, type CountedTableOptions } from './counted-table.ts';
import { hashChunkInfo } from './item-hash.ts';
import type { Arc, ChunkId, ChunkInfo, Digest } from './store.ts';
import type { IndexTable } from './store-index.ts';
import { chunkKey } from './store-keys.ts';

/** What the index knows of a chunk. */
export interface IndexedChunk extends ChunkInfo {
  /** Of the bytes: what a read checks. It costs a third of SHA-256, which publishing and scrubbing check. */
  readonly crc32: number;
}

/** File systems allocate in blocks of this size; a chunk costs whole ones. */
const BLOCK_BYTES = 4_096;

export function allocatedBytesOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Which chunks this replica holds. Changes of one chunk must not overlap: the caller queues them. */
export class ChunkTable {
  readonly #table: CountedTable;
  #allocatedBytes = 0;

  /** `onDamage`: an entry is unreadable; its chunk is absent until it is put again. */
  constructor(table: IndexTable, told: Pick<CountedTableOptions, 'onDamage' | 'onLoss'>) {
    this.#table = new CountedTable(table, {
      onCount: ({ sizeBytes }, sign) => {
        this.#allocatedBytes += sign * allocatedBytesOf(sizeBytes);
      },
      ...told,
    });
  }

  /** What the chunks' files take on the disk. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  load(): void {
    this.#table.load();
  }

  get(id: ChunkId): IndexedChunk | undefined {
    const entry = this.#table.get(chunkKey(id));
    return entry === undefined || entry === 'damaged' ? undefined : parseChunk(entry.json);
  }

  async put(chunk: IndexedChunk): Promise<void> {
    await this.#table.put(chunkKey(chunk), {
      hash: hashChunkInfo(chunk),
      sizeBytes: chunk.sizeBytes,
      isLive: true,
      json: JSON.stringify(chunk),
    });
  }

  remove(id: ChunkId): Promise<void> {
    return this.#table.remove(chunkKey(id));
  }

  /** Removes a damaged entry, whose id can no longer be read but from its key. */
  removeKey(key: Buffer): Promise<void> {
    return this.#table.remove(key);
  }

  scan(
    arc: Arc,
    { after, limit }: { readonly after?: ChunkId | undefined; readonly limit: number },
  ): IndexedChunk[] {
    const afterKey = after === undefined ? undefined : chunkKey(after);
    return this.#table.scan(arc, { after: afterKey, limit }).map(parseChunk);
  }

  digest(arc: Arc): Digest {
    return this.#table.digest(arc);
  }

  /** Up to `limit` sound entries from a key on, and the key to go on from; undefined after the last. */
  verify(from: Uint8Array | undefined, limit: number) {
    const { sound, next } = this.#table.verify(from, limit);
    return { chunks: sound.map(parseChunk), next };
  }
}

/** The entry's checksum has proved that these are the bytes `put` wrote. */
function parseChunk(json: string): IndexedChunk {
  return JSON.parse(json) as IndexedChunk;
}
