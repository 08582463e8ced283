import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { chunkOf, recordOf } from './contract.ts';
import { DiskFolder } from './disk-folder.ts';
import { FaultyFileSystem, systemError } from './faulty-file-system.ts';

let disk: DiskFolder;
beforeEach(async () => {
  disk = await DiskFolder.make();
});
afterEach(() => disk.dispose());

describe('space and disk errors', () => {
  test('says VOLUME_FULL before the capacity is reached, and still takes tombstones', async () => {
    const capacityBytes = 24 * 1024 * 1024;
    const store = await disk.openStore({ capacityBytes });
    let stored = 0;
    const fill = async () => {
      for (; stored < 100; stored++) {
        const bytes = Buffer.alloc(1024 * 1024, stored + 1);
        await store.putChunk(chunkOf(bytes, { uploadId: `u${stored}` }), bytes);
      }
    };

    await expect(fill()).rejects.toMatchObject({ code: 'VOLUME_FULL' });

    expect(stored).toBeGreaterThan(15);
    expect(store.usage().usedBytes).toBeLessThan(capacityBytes);
    await store.putRecord(recordOf('a', 1, { deleted: true, sizeBytes: 0, chunks: [] }));
    await store.removeChunk(chunkOf(Buffer.of(), { uploadId: 'u0' }));
    const bytes = Buffer.alloc(500_000, 9);
    await store.putChunk(chunkOf(bytes, { uploadId: 'again' }), bytes);
  });

  test('says VOLUME_FULL when somebody else has filled the file system', async () => {
    const fileSystem = new FaultyFileSystem();
    fileSystem.volumeAnswer = { sizeBytes: 2 ** 40, freeBytes: 10 * 1024 * 1024 };
    const store = await disk.openStore({ fileSystem });
    const bytes = Buffer.from('abc');

    await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'VOLUME_FULL' });
  });

  test('uploads at the same time cannot together take more than there is', async () => {
    const capacityBytes = 16 * 1024 * 1024;
    const store = await disk.openStore({ capacityBytes });

    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => {
        const bytes = Buffer.alloc(4 * 1024 * 1024, i + 1);
        return store.putChunk(chunkOf(bytes, { uploadId: `u${i}` }), bytes);
      }),
    );

    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(4);
    expect(store.usage().usedBytes).toBeLessThan(capacityBytes);
  });

  test.each(['write', 'sync'] as const)(
    'no space at %s: VOLUME_FULL, nothing left behind, and the store goes on',
    async (at) => {
      const fileSystem = new FaultyFileSystem();
      const store = await disk.openStore({ fileSystem });
      const bytes = Buffer.from('abc');
      fileSystem.before = (operation) => {
        if (operation === at) throw systemError('ENOSPC');
      };

      await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'VOLUME_FULL' });

      expect(readdirSync(join(disk.directory, 'tmp'))).toEqual([]);
      expect(store.getChunk(chunkOf(bytes))).toBeUndefined();
      fileSystem.before = () => undefined;
      await store.putChunk(chunkOf(bytes), bytes);
      expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
    },
  );

  test.each(['write', 'sync', 'rename', 'syncFolder'] as const)(
    'an I/O error at %s fails the store for good: it is told once, writes are refused, reads go on',
    async (at) => {
      const failures: unknown[] = [];
      const fileSystem = new FaultyFileSystem();
      const store = await disk.openStore({ fileSystem, onFailure: (error) => failures.push(error) });
      const before = Buffer.from('stored before');
      await store.putChunk(chunkOf(before, { uploadId: 'before' }), before);
      fileSystem.before = (operation) => {
        if (operation === at) throw systemError('EIO');
      };
      const bytes = Buffer.from('abc');

      await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      fileSystem.before = () => undefined;

      await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      await expect(store.putRecord(recordOf('a', 1))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      await expect(store.putSetting('a', 'b')).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
      expect(store.getChunk(chunkOf(bytes))).toBeUndefined();
      expect(await store.readChunk(chunkOf(before, { uploadId: 'before' }))).toBeDefined();
      expect(failures).toHaveLength(1);
    },
  );

  test('running out of descriptors is not the fault of the disk', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = await disk.openStore({ fileSystem });
    const bytes = Buffer.from('abc');
    fileSystem.before = (operation) => {
      if (operation === 'createFile') throw systemError('EMFILE');
    };
    await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    fileSystem.before = () => undefined;

    await store.putChunk(chunkOf(bytes), bytes);

    expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
  });

  test.each(['EISDIR', 'EPERM', 'EACCES', 'ENOTDIR', 'ENAMETOOLONG'])(
    'a file that cannot be shown for %s says nothing about the disk, and leaves nothing behind',
    async (code) => {
      const failures: unknown[] = [];
      const fileSystem = new FaultyFileSystem();
      const store = await disk.openStore({ fileSystem, onFailure: (error) => failures.push(error) });
      const bytes = Buffer.from('abc');
      await store.putChunk(chunkOf(bytes), bytes);
      fileSystem.before = (operation) => {
        if (operation === 'rename') throw systemError(code);
      };

      await store.exposeFile(recordOf('shown', 1, { uploadId: 'u1', chunks: [chunkOf(bytes)] }));
      await store.exposeFile(recordOf('empty', 1, { sizeBytes: 0, chunks: [] }));
      fileSystem.before = () => undefined;

      expect(failures).toEqual([]);
      expect(readdirSync(join(disk.directory, 'tmp'))).toEqual([]);
      await store.putRecord(recordOf('a', 1));
    },
  );

  test('an I/O error of the file folder is one of the disk', async () => {
    const failures: unknown[] = [];
    const fileSystem = new FaultyFileSystem();
    const store = await disk.openStore({ fileSystem, onFailure: (error) => failures.push(error) });
    fileSystem.before = (operation) => {
      if (operation === 'remove') throw systemError('EIO');
    };

    await store.hideFile('a');

    expect(failures).toHaveLength(1);
  });

  test('folders that somebody made in ours are let be: the store opens, shows, scrubs and stores', async () => {
    const failures: unknown[] = [];
    const bytes = Buffer.from('abc');
    const chunk = chunkOf(bytes);
    const stray = [
      'files/shown',
      'files/unknown',
      'tmp/1',
      'quarantine/stray-1',
      `chunks/00/${'0'.repeat(8)}-x-0`,
    ];
    for (const path of stray) mkdirSync(join(disk.directory, path), { recursive: true });

    const store = await disk.openStore({ onFailure: (error) => failures.push(error) });
    await store.putChunk(chunk, bytes);
    const record = recordOf('shown', 1, { uploadId: 'u1', chunks: [chunk] });
    await store.putRecord(record);
    await store.exposeFile(record);
    await store.scrubber.pass();
    await store.removeChunk(chunk);

    expect(failures).toEqual([]);
    expect(stray.every((path) => existsSync(join(disk.directory, path)))).toBe(true);
  });

  test('an unreadable file is damage, not a crash', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = await disk.openStore({ fileSystem });
    const bytes = Buffer.from('abc');
    await store.putChunk(chunkOf(bytes), bytes);
    fileSystem.before = (operation) => {
      if (operation === 'readFileNow') throw systemError('EIO');
    };

    expect(await store.readChunk(chunkOf(bytes))).toBeUndefined();
  });
});
