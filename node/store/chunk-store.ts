import { crc32 } from 'node:zlib';
import { ChordfsError } from '../../domain/errors.ts';
import type { ChunkFiles } from './chunk-files.ts';
import { allocatedBytesOf, type ChunkTable, type IndexedChunk } from './chunk-table.ts';
import { contentAddress } from './content-address.ts';
import type { DiskHealth } from './disk-health.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { ChunkId, ChunkInfo } from './store.ts';
import { checkChunkSize, chunkKey } from './store-keys.ts';
import type { Volume } from './volume.ts';

export interface ChunkStoreParts {
  readonly table: ChunkTable;
  readonly files: ChunkFiles;
  readonly health: DiskHealth;
  readonly volume: Volume;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/**
 * Chunks: a file and an index entry each.
 *
 * The entry is what makes a chunk exist. It comes last in a publish and goes first in a removal, so whatever a crash
 * leaves between two steps is a file nobody asks for; `sweep` removes it.
 */
export class ChunkStore {
  readonly #parts: ChunkStoreParts;
  readonly #queue = new KeyedQueue();
  readonly #listeners: ((chunk: ChunkInfo) => void)[] = [];

  constructor(parts: ChunkStoreParts) {
    this.#parts = parts;
  }

  onCorrupt(listener: (chunk: ChunkInfo) => void): void {
    this.#listeners.push(listener);
  }

  /** @throws ChordfsError `CORRUPT`, `VOLUME_FULL`, `STORAGE_FAILED` */
  async put(
    info: Omit<ChunkInfo, 'storedMs' | 'verifiedMs'>,
    bytes: Uint8Array,
    { isChecked = false }: { readonly isChecked?: boolean | undefined } = {},
  ): Promise<void> {
    const { table, files, health, volume, now } = this.#parts;
    const queueKey = textKey(info);
    checkChunkSize(info.sizeBytes, bytes);
    if (!isChecked && (await contentAddress(bytes)) !== info.sha256) {
      throw new ChordfsError('CORRUPT', { sizeBytes: bytes.byteLength });
    }
    await this.#queue.run(queueKey, async () => {
      if (table.get(info)?.sha256 === info.sha256) return;
      await health.guard(() =>
        volume.withSpaceFor(allocatedBytesOf(bytes.byteLength), async () => {
          await files.publish(info, bytes);
          const { key, name, uploadId, index, sha256, sizeBytes } = info;
          const times = { storedMs: now(), verifiedMs: now() };
          await table.put({ key, name, uploadId, index, sha256, sizeBytes, ...times, crc32: crc32(bytes) });
        }),
      );
    });
  }

  /** The chunk's bytes, whole and checked; undefined when there is no good copy here. */
  async read(id: ChunkId, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const { table, files } = this.#parts;
    const chunk = table.get(id);
    if (chunk === undefined) return undefined;
    const bytes = await files.read(chunk, chunk.sizeBytes, into);
    if (bytes !== undefined && isSound(chunk, bytes)) return bytes;
    return this.#readAgain(id, isSound);
  }

  /** Reads a chunk as `read` does, and checks its content address instead of the cheaper checksum. */
  async verify(id: ChunkId): Promise<boolean> {
    const { table, files } = this.#parts;
    const chunk = table.get(id);
    if (chunk === undefined) return false;
    const bytes = await files.read(chunk, chunk.sizeBytes);
    if (bytes !== undefined && (await hasContentAddress(chunk, bytes))) return true;
    return (await this.#readAgain(id, hasContentAddress)) !== undefined;
  }

  /** Notes when chunks were last verified, in one commit. */
  async markVerified(ids: readonly ChunkId[]): Promise<void> {
    const { table, health, now } = this.#parts;
    const verifiedMs = now();
    const mark = (id: ChunkId) =>
      this.#queue.run(textKey(id), async () => {
        const chunk = table.get(id);
        if (chunk !== undefined) await table.put({ ...chunk, verifiedMs });
      });
    await health.guard(() => Promise.all(ids.map(mark)));
  }

  /** @throws ChordfsError `STORAGE_FAILED` */
  remove(id: ChunkId): Promise<void> {
    const { table, files, health } = this.#parts;
    return this.#queue.run(textKey(id), async () => {
      if (table.get(id) === undefined) return;
      await health.guard(async () => {
        await table.remove(id);
        await files.remove(id);
      });
    });
  }

  /** Removes the files in one folder that no index entry names: what crashes left. */
  async sweep(shard: string): Promise<void> {
    const { table, files } = this.#parts;
    for (const id of await files.list(shard)) {
      if (table.get(id) !== undefined) continue;
      // A publish between its rename and its index entry looks the same; the queue waits until it is over.
      await this.#queue.run(textKey(id), async () => {
        if (table.get(id) === undefined) await files.removeStray(id);
      });
    }
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** Looks once more when nothing else touches the chunk: a copy that was just removed or replaced is not damage. */
  #readAgain(
    id: ChunkId,
    isGood: (chunk: IndexedChunk, bytes: Uint8Array) => boolean | Promise<boolean>,
  ): Promise<Uint8Array | undefined> {
    const { table, files, health, now } = this.#parts;
    return this.#queue.run(textKey(id), async () => {
      const chunk = table.get(id);
      if (chunk === undefined) return undefined;
      const bytes = await files.read(chunk, chunk.sizeBytes);
      if (bytes !== undefined && (await isGood(chunk, bytes))) return bytes;
      try {
        await health.guard(async () => {
          await table.remove(id);
          await files.quarantine(chunk, now());
        });
      } catch {
        // A disk that refuses to forget the copy has failed and says so by itself; the copy is still not served.
      } finally {
        const { crc32: _, ...info } = chunk;
        for (const listener of this.#listeners) listener(info);
      }
      return undefined;
    });
  }
}

function textKey(id: ChunkId): string {
  return chunkKey(id).toString('latin1');
}

function isSound(chunk: IndexedChunk, bytes: Uint8Array): boolean {
  return bytes.byteLength === chunk.sizeBytes && crc32(bytes) === chunk.crc32;
}

async function hasContentAddress(chunk: IndexedChunk, bytes: Uint8Array): Promise<boolean> {
  return bytes.byteLength === chunk.sizeBytes && (await contentAddress(bytes)) === chunk.sha256;
}
