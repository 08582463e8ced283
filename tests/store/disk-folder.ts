import { chmod, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatIdentifier } from '../../domain/identifier.ts';
import { DiskStore, type DiskStoreOptions } from '../../node/store/disk-store.ts';
import type { ChunkId } from '../../node/store/store.ts';

/** A data folder of one test, and the stores it opened in it. */
export class DiskFolder {
  readonly directory: string;
  readonly #stores: DiskStore[] = [];

  static async make(): Promise<DiskFolder> {
    return new DiskFolder(await mkdtemp(join(tmpdir(), 'chordfs-disk-')));
  }

  private constructor(directory: string) {
    this.directory = directory;
  }

  async openStore(options: Partial<DiskStoreOptions> = {}): Promise<DiskStore> {
    const store = await DiskStore.open({ directory: this.directory, ...options });
    this.#stores.push(store);
    return store;
  }

  chunkPath({ key, uploadId, index }: ChunkId): string {
    const position = formatIdentifier(key);
    return join(this.directory, 'chunks', position.slice(0, 2), `${position}-${uploadId}-${index}`);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
    await rm(this.directory, { recursive: true });
  }
}

/** Bit rot: the file keeps its size and its name. */
export async function flipByte(path: string, at: number): Promise<void> {
  await chmod(path, 0o644);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  await file.close();
}
