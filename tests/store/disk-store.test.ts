import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { DiskStore } from '../../node/store/disk-store.ts';
import { chunkOf, sha256Of } from './contract.ts';
import { DiskFolder } from './disk-folder.ts';
import { FaultyFileSystem, PowerCut } from './faulty-file-system.ts';

let disk: DiskFolder;
beforeEach(async () => {
  disk = await DiskFolder.make();
});
afterEach(() => disk.dispose());

describe('crashes', () => {
  test('whatever call a crash comes before, the store opens, has all it acknowledged, and nothing half', async () => {
    const contents = Array.from({ length: 3 }, (_, i) => Buffer.alloc(1_000 * (i + 1), i + 65));
    for (let cutAt = 1; ; cutAt++) {
      const fileSystem = new FaultyFileSystem();
      const crashed = await DiskStore.open({ directory: disk.directory, fileSystem });
      const acknowledged = new Set<string>();
      fileSystem.cutPowerBeforeCall(cutAt);
      for (const [i, bytes] of contents.entries()) {
        const chunk = chunkOf(bytes, { uploadId: `cut${cutAt}-${i}` });
        await crashed.putChunk(chunk, bytes).then(
          () => acknowledged.add(chunk.uploadId),
          () => undefined,
        );
      }
      const wasCut = acknowledged.size < contents.length;
      await crashed.close();

      const store = await DiskStore.open({ directory: disk.directory });
      expect(readdirSync(join(disk.directory, 'tmp'))).toEqual([]);
      for (const [i, bytes] of contents.entries()) {
        const chunk = chunkOf(bytes, { uploadId: `cut${cutAt}-${i}` });
        const read = await store.readChunk(chunk);
        if (acknowledged.has(chunk.uploadId)) expect(sha256Of(read ?? Buffer.of())).toBe(chunk.sha256);
        else expect(read).toBeUndefined();
      }
      await store.scrubber.pass();
      expect(readdirSync(join(disk.directory, 'quarantine'))).toEqual([]);
      await store.close();
      if (!wasCut) break;
    }
  });

  test('a crash in the middle of opening is survived too', async () => {
    const bytes = Buffer.from('abc');
    const first = await DiskStore.open({ directory: disk.directory });
    await first.putChunk(chunkOf(bytes), bytes);
    await first.close();
    for (const cutAt of [1, 2, 3, 10, 100, 259, 262]) {
      const fileSystem = new FaultyFileSystem();
      fileSystem.cutPowerBeforeCall(cutAt);
      await expect(DiskStore.open({ directory: disk.directory, fileSystem })).rejects.toThrow(PowerCut);
    }

    const store = await disk.openStore();

    expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
  });
});

describe('the lock', () => {
  test('a second store on the same folder is refused, and let in when the first has closed', async () => {
    const first = await disk.openStore();

    await expect(DiskStore.open({ directory: disk.directory })).rejects.toThrow(/in use by another process/);
    await first.close();

    await disk.openStore();
  });

  test('a killed process leaves no lock behind', async () => {
    const script = `const { DiskStore } = await import(${JSON.stringify(new URL('../../node/store/disk-store.ts', import.meta.url).href)});
      await DiskStore.open({ directory: ${JSON.stringify(disk.directory)} }); console.log('open'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    await expect(DiskStore.open({ directory: disk.directory })).rejects.toThrow(/in use by another process/);

    const gone = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill('SIGKILL');
    await gone;

    await disk.openStore();
  });
});

test('many small writes at once share their flushes of folder and index', async () => {
  const fileSystem = new FaultyFileSystem();
  const store = await disk.openStore({ fileSystem });
  let folderFlushes = 0;
  fileSystem.before = (operation) => {
    if (operation === 'syncFolder') folderFlushes += 1;
  };
  const key = hashName('a.txt');

  await Promise.all(
    Array.from({ length: 64 }, (_, i) => {
      const bytes = Buffer.from(`content ${i}`);
      return store.putChunk(chunkOf(bytes, { key, uploadId: `u${i}` }), bytes);
    }),
  );

  expect(folderFlushes).toBeLessThan(40);
});
