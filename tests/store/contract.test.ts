import { chmod, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatIdentifier } from '../../domain/identifier.ts';
import { DiskStore } from '../../node/store/disk-store.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import type { ChunkId } from '../../node/store/store.ts';
import { storeContract } from './contract.ts';

storeContract(
  'MemoryStore',
  async () => {
    const store = new MemoryStore();
    return {
      store,
      damageChunk: async (id: ChunkId) => store.damageChunk(id),
      dispose: () => store.close(),
    };
  },
  { isDurable: false },
);

storeContract(
  'DiskStore',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'chordfs-store-'));
    let store = await DiskStore.open({ directory });
    return {
      store,
      damageChunk: (id: ChunkId) => flipFirstByte(chunkPath(directory, id)),
      reopen: async () => {
        await store.close();
        store = await DiskStore.open({ directory });
        return store;
      },
      dispose: async () => {
        await store.close();
        await rm(directory, { recursive: true });
      },
    };
  },
  { isDurable: true },
);

function chunkPath(directory: string, { key, uploadId, index }: ChunkId): string {
  const position = formatIdentifier(key);
  return join(directory, 'chunks', position.slice(0, 2), `${position}-${uploadId}-${index}`);
}

async function flipFirstByte(path: string): Promise<void> {
  await chmod(path, 0o644);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 0);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, 0);
  await file.close();
}
