import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { formatIdentifier, identifier } from '../../domain/identifier.ts';
import { DiskStore, type DiskStoreOptions } from '../../node/store/disk-store.ts';
import type { Arc, ChunkId } from '../../node/store/store.ts';
import { chunkOf, recordOf, sha256Of } from './contract.ts';
import { FaultyFileSystem, PowerCut, systemError } from './faulty-file-system.ts';

const WHOLE: Arc = { from: identifier(0), to: identifier(0) };

let directory: string;
let stores: DiskStore[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chordfs-disk-'));
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  stores = [];
  await rm(directory, { recursive: true });
});

async function openStore(options: Partial<DiskStoreOptions> = {}): Promise<DiskStore> {
  const store = await DiskStore.open({ directory, ...options });
  stores.push(store);
  return store;
}

function chunkPath({ key, uploadId, index }: ChunkId): string {
  const position = formatIdentifier(key);
  return join(directory, 'chunks', position.slice(0, 2), `${position}-${uploadId}-${index}`);
}

async function flipByte(path: string, at: number): Promise<void> {
  await chmod(path, 0o644);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  await file.close();
}

describe('damage', () => {
  test('a flipped byte at any place of a chunk is found by a read and by a scrub', async () => {
    const store = await openStore();
    const bytes = Buffer.from('0123456789'.repeat(20));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength - 1), fc.boolean(), async (at, isScrubbed) => {
        const chunk = chunkOf(bytes, { uploadId: `u${at}-${isScrubbed}` });
        await store.putChunk(chunk, bytes);
        await flipByte(chunkPath(chunk), at);
        if (isScrubbed) await store.scrubber.pass();
        expect(await store.readChunk(chunk)).toBeUndefined();
        expect(store.getChunk(chunk)).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  test.each([
    ['shorter', (path: string) => writeFileSync(path, 'pre')],
    ['empty', (path: string) => writeFileSync(path, '')],
    ['gone', (path: string) => execFileSync('rm', ['-f', path])],
  ])('a chunk whose file is %s counts as damaged', async (_, damage) => {
    const store = await openStore();
    const reported: string[] = [];
    store.onCorrupt(({ uploadId }) => reported.push(uploadId));
    const bytes = Buffer.from('precious');
    await store.putChunk(chunkOf(bytes), bytes);
    await chmod(chunkPath(chunkOf(bytes)), 0o644);

    damage(chunkPath(chunkOf(bytes)));

    expect(await store.readChunk(chunkOf(bytes))).toBeUndefined();
    expect(reported).toEqual(['u1']);
  });

  test('a bad copy is kept aside for people, and the file folder stops showing it', async () => {
    const store = await openStore();
    const bytes = Buffer.from('precious');
    const chunk = chunkOf(bytes);
    await store.putChunk(chunk, bytes);
    await store.exposeFile(recordOf('a.txt', 1, { uploadId: 'u1', chunks: [chunk] }));
    await flipByte(chunkPath(chunk), 3);

    await store.readChunk(chunk);

    expect(readdirSync(join(directory, 'quarantine'))).toHaveLength(1);
    await expect.poll(() => readdirSync(join(directory, 'files'))).toEqual([]);
  });

  test('a flipped byte in a record is CORRUPT, not absent; scans and digests leave it out; putting it repairs it', async () => {
    let store = await openStore();
    const names = ['one.txt', 'two.txt', 'three.txt'];
    for (const name of names) await store.putRecord(recordOf(name, 7, { uploadId: `marker-of-${name}` }));
    await store.close();
    const index = join(directory, 'index', 'data.mdb');
    const at = readFileSync(index).lastIndexOf('marker-of-two.txt');
    await flipByte(index, at + 3);

    store = await openStore();
    const reported: string[] = [];
    store.onCorruptRecord((name) => reported.push(name));

    expect(() => store.getRecord('two.txt')).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(reported).toEqual(['two.txt']);
    expect(store.digestRecords(WHOLE).count).toBe(2);
    expect(
      store
        .scanRecords(WHOLE, { limit: 9 })
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['one.txt', 'three.txt']);
    await store.putRecord(recordOf('two.txt', 7));
    expect(store.getRecord('two.txt')?.version.counter).toBe(7);
    expect(store.digestRecords(WHOLE).count).toBe(3);
    expect(store.usage().fileCount).toBe(3);
  });

  test('a record that rots while the store is open is found by a scrub', async () => {
    const store = await openStore();
    for (const name of ['one.txt', 'two.txt']) {
      await store.putRecord(recordOf(name, 7, { uploadId: `marker-of-${name}` }));
    }
    const reported: string[] = [];
    store.onCorruptRecord((name) => reported.push(name));
    const index = join(directory, 'index', 'data.mdb');
    // Every copy of the page that the file holds, as the newest one is not told apart from here.
    const content = readFileSync(index);
    for (
      let at = content.indexOf('marker-of-one');
      at !== -1;
      at = content.indexOf('marker-of-one', at + 1)
    ) {
      await flipByte(index, at);
    }

    await store.scrubber.pass();

    expect(reported).toEqual(['one.txt']);
    expect(store.digestRecords(WHOLE)).toEqual({ ...store.digestRecords(WHOLE), count: 1 });
  });

  test('records that a damaged page of the index hides are not taken for absent', async () => {
    const failures: unknown[] = [];
    let store = await openStore({ onFailure: (error) => failures.push(error) });
    const names = Array.from({ length: 300 }, (_, i) => `file ${i}`);
    await Promise.all(
      names.map((name) => store.putRecord(recordOf(name, 1, { uploadId: `marker-of-${name}.` }))),
    );
    const index = join(directory, 'index', 'data.mdb');
    const content = readFileSync(index);
    const PAGE_BYTES = 4_096;
    const LOWER_AT = 20;
    const file = await open(index, 'r+');
    // The end of the list of entries at its beginning: the page says that it is empty.
    for (
      let at = content.indexOf('marker-of-file 7.');
      at !== -1;
      at = content.indexOf('marker-of-file 7.', at + 1)
    ) {
      await file.write(Buffer.of(0, 0), 0, 2, at - (at % PAGE_BYTES) + LOWER_AT);
    }
    await file.close();

    expect(store.getRecord('never stored')).toBeUndefined();
    const hidden = names.filter((name) => {
      try {
        return store.getRecord(name) === undefined;
      } catch (error) {
        expect(error).toMatchObject({ code: 'CORRUPT' });
        return false;
      }
    });
    // The library may still show the page's first entry to a scan, so that one passes; all others must not.
    expect(hidden.length).toBeLessThanOrEqual(1);
    expect(failures).toHaveLength(1);
    await expect(store.putRecord(recordOf('another', 1))).rejects.toMatchObject({ code: 'STORAGE_FAILED' });

    await store.close();
    store = await openStore();
    expect(readdirSync(directory).filter((name) => name.startsWith('damaged-'))).toHaveLength(1);
  });

  test('an index whose pages make no sense is moved aside, and the store opens empty', async () => {
    let store = await openStore();
    const bytes = Buffer.from('salvage me');
    await store.putRecord(recordOf('a.txt', 1));
    await store.putChunk(chunkOf(bytes), bytes);
    await store.close();
    const index = join(directory, 'index', 'data.mdb');
    writeFileSync(index, Buffer.alloc(statSync(index).size, 0xa5));

    store = await openStore();

    expect(store.getRecord('a.txt')).toBeUndefined();
    const aside = readdirSync(directory).find((name) => name.startsWith('damaged-')) ?? '';
    expect(readdirSync(join(directory, aside)).sort()).toEqual(['chunks', 'index']);
    await store.putChunk(chunkOf(bytes), bytes);
    expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
  });
});

describe('the scrubber', () => {
  test('goes on after a restart where it was, and notes when it verified what', async () => {
    let now = 1_000;
    let store = await openStore({ now: () => now });
    for (let i = 0; i < 70; i++) {
      const bytes = Buffer.from(`chunk ${i}`);
      await store.putChunk(chunkOf(bytes, { key: identifier(i * 1_000), uploadId: `u${i}` }), bytes);
    }
    now = 2_000;
    await store.scrubber.pass();
    const verified = store.scanChunks(WHOLE, { limit: 100 }).map(({ verifiedMs }) => verifiedMs);
    expect(new Set(verified)).toEqual(new Set([2_000]));
    // The cursor of a pass that got half-way through, as a restart would find it.
    await store.putSetting('store.scrub-cursor', Buffer.from([0, 0, 0xea, 0x60]).toString('hex'));
    await store.close();

    now = 3_000;
    store = await openStore({ now: () => now });
    await store.scrubber.pass();

    const after = store.scanChunks(WHOLE, { limit: 100 });
    expect(after.filter(({ key }) => key < 60_000).every(({ verifiedMs }) => verifiedMs === 2_000)).toBe(
      true,
    );
    expect(
      after.filter(({ key }) => key >= 60_000 && key !== 0).every(({ verifiedMs }) => verifiedMs === 3_000),
    ).toBe(true);
  });

  test('removes files that no index entry names, and nothing else', async () => {
    const store = await openStore();
    const bytes = Buffer.from('kept');
    await store.putChunk(chunkOf(bytes), bytes);
    const orphan = chunkPath(chunkOf(bytes, { uploadId: 'orphan' }));
    writeFileSync(orphan, 'left by a crash');

    await store.scrubber.pass();

    expect(existsSync(orphan)).toBe(false);
    expect(Buffer.from((await store.readChunk(chunkOf(bytes))) ?? '').toString()).toBe('kept');
  });
});

describe('the file folder', () => {
  test('shows a file under its own name, read-only, as the same file that the chunk is', async () => {
    const store = await openStore();
    const bytes = Buffer.from('abc');
    const chunk = chunkOf(bytes);
    await store.putChunk(chunk, bytes);

    await store.exposeFile(recordOf('ü "a".txt', 1, { uploadId: 'u1', chunks: [chunk] }));
    await store.exposeFile(recordOf('ü "a".txt', 1, { uploadId: 'u1', chunks: [chunk] }));

    const path = join(directory, 'files', 'ü "a".txt');
    expect(readFileSync(path, 'utf8')).toBe('abc');
    expect(statSync(path).mode & 0o777).toBe(0o444);
    expect(statSync(path).ino).toBe(statSync(chunkPath(chunk)).ino);
    expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
    await store.hideFile('ü "a".txt');
    expect(readdirSync(join(directory, 'files'))).toEqual([]);
  });

  test('no name leaves the folder, and no two names meet in it', async () => {
    const store = await openStore();
    const names = [
      '.',
      '..',
      '../escape',
      'a/b',
      'a_b',
      'nul\0',
      'nul_',
      'x'.repeat(400),
      '%chordfs-x',
      'ü'.repeat(200),
    ];

    for (const name of names) {
      const bytes = Buffer.from(`of ${name}`);
      const chunk = chunkOf(bytes, { name, uploadId: `u${names.indexOf(name)}` });
      await store.putChunk(chunk, bytes);
      await store.exposeFile(recordOf(name, 1, { uploadId: chunk.uploadId, chunks: [chunk] }));
    }

    const contents = readdirSync(join(directory, 'files')).map((file) =>
      readFileSync(join(directory, 'files', file), 'utf8'),
    );
    expect(contents.sort()).toEqual(names.map((name) => `of ${name}`).sort());
    expect(existsSync(join(directory, 'escape'))).toBe(false);
  });

  test('where the file system has no hard links, a copy is shown', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = await openStore({ fileSystem });
    const bytes = Buffer.from('abc');
    await store.putChunk(chunkOf(bytes), bytes);
    fileSystem.before = (operation) => {
      if (operation === 'link') throw systemError('EPERM');
    };

    await store.exposeFile(recordOf('a.txt', 1, { uploadId: 'u1', chunks: [chunkOf(bytes)] }));

    expect(readFileSync(join(directory, 'files', 'a.txt'), 'utf8')).toBe('abc');
  });

  test('an empty file is shown too, and a file of many chunks is not', async () => {
    const store = await openStore();
    const chunk = { ...chunkOf(Buffer.from('abc')), key: hashName('x') };

    await store.exposeFile(recordOf('empty', 1, { sizeBytes: 0, chunks: [] }));
    await store.exposeFile(recordOf('large', 1, { chunks: [chunk, chunk] }));

    expect(readdirSync(join(directory, 'files'))).toEqual(['empty']);
  });

  test('a name goes with its chunk, unless a newer upload shows there by now', async () => {
    const store = await openStore();
    for (const uploadId of ['old', 'new']) {
      const bytes = Buffer.from(uploadId);
      const record = recordOf('a.txt', uploadId === 'old' ? 1 : 2, { uploadId, chunks: [chunkOf(bytes)] });
      await store.putChunk(chunkOf(bytes, { uploadId }), bytes);
      await store.putRecord(record);
      await store.exposeFile(record);
    }

    await store.removeChunk(chunkOf(Buffer.of(), { uploadId: 'old' }));
    expect(readFileSync(join(directory, 'files', 'a.txt'), 'utf8')).toBe('new');

    await store.removeRecord('a.txt', { counter: 2, nodeId: identifier(7) });
    await store.removeChunk(chunkOf(Buffer.of(), { uploadId: 'new' }));
    expect(readdirSync(join(directory, 'files'))).toEqual([]);
  });
});

describe('space and disk errors', () => {
  test('says VOLUME_FULL before the capacity is reached, and still takes tombstones', async () => {
    const capacityBytes = 24 * 1024 * 1024;
    const store = await openStore({ capacityBytes });
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
    const store = await openStore({ fileSystem });
    const bytes = Buffer.from('abc');

    await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'VOLUME_FULL' });
  });

  test('uploads at the same time cannot together take more than there is', async () => {
    const capacityBytes = 16 * 1024 * 1024;
    const store = await openStore({ capacityBytes });

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
      const store = await openStore({ fileSystem });
      const bytes = Buffer.from('abc');
      fileSystem.before = (operation) => {
        if (operation === at) throw systemError('ENOSPC');
      };

      await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'VOLUME_FULL' });

      expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
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
      const store = await openStore({ fileSystem, onFailure: (error) => failures.push(error) });
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
    const store = await openStore({ fileSystem });
    const bytes = Buffer.from('abc');
    fileSystem.before = (operation) => {
      if (operation === 'createFile') throw systemError('EMFILE');
    };
    await expect(store.putChunk(chunkOf(bytes), bytes)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    fileSystem.before = () => undefined;

    await store.putChunk(chunkOf(bytes), bytes);

    expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
  });

  test('an unreadable file is damage, not a crash', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = await openStore({ fileSystem });
    const bytes = Buffer.from('abc');
    await store.putChunk(chunkOf(bytes), bytes);
    fileSystem.before = (operation) => {
      if (operation === 'readFileNow') throw systemError('EIO');
    };

    expect(await store.readChunk(chunkOf(bytes))).toBeUndefined();
  });
});

describe('crashes', () => {
  test('whatever call a crash comes before, the store opens, has all it acknowledged, and nothing half', async () => {
    const contents = Array.from({ length: 3 }, (_, i) => Buffer.alloc(1_000 * (i + 1), i + 65));
    for (let cutAt = 1; ; cutAt++) {
      const fileSystem = new FaultyFileSystem();
      const crashed = await DiskStore.open({ directory, fileSystem });
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

      const store = await DiskStore.open({ directory });
      expect(readdirSync(join(directory, 'tmp'))).toEqual([]);
      for (const [i, bytes] of contents.entries()) {
        const chunk = chunkOf(bytes, { uploadId: `cut${cutAt}-${i}` });
        const read = await store.readChunk(chunk);
        if (acknowledged.has(chunk.uploadId)) expect(sha256Of(read ?? Buffer.of())).toBe(chunk.sha256);
        else expect(read).toBeUndefined();
      }
      await store.scrubber.pass();
      expect(readdirSync(join(directory, 'quarantine'))).toEqual([]);
      await store.close();
      if (!wasCut) break;
    }
  });

  test('a crash in the middle of opening is survived too', async () => {
    const bytes = Buffer.from('abc');
    const first = await DiskStore.open({ directory });
    await first.putChunk(chunkOf(bytes), bytes);
    await first.close();
    for (const cutAt of [1, 2, 3, 10, 100, 259, 262]) {
      const fileSystem = new FaultyFileSystem();
      fileSystem.cutPowerBeforeCall(cutAt);
      await expect(DiskStore.open({ directory, fileSystem })).rejects.toThrow(PowerCut);
    }

    const store = await openStore();

    expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
  });
});

describe('the lock', () => {
  test('a second store on the same folder is refused, and let in when the first has closed', async () => {
    const first = await openStore();

    await expect(DiskStore.open({ directory })).rejects.toThrow(/in use by another process/);
    await first.close();

    await openStore();
  });

  test('a killed process leaves no lock behind', async () => {
    const script = `const { DiskStore } = await import(${JSON.stringify(new URL('../../node/store/disk-store.ts', import.meta.url).href)});
      await DiskStore.open({ directory: ${JSON.stringify(directory)} }); console.log('open'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    await expect(DiskStore.open({ directory })).rejects.toThrow(/in use by another process/);

    const gone = new Promise((resolve) => holder.once('exit', resolve));
    holder.kill('SIGKILL');
    await gone;

    await openStore();
  });
});

test('many small writes at once share their flushes of folder and index', async () => {
  const fileSystem = new FaultyFileSystem();
  const store = await openStore({ fileSystem });
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
