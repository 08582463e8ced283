import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { chmod, open } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import type { Arc } from '../../node/store/store.ts';
import { chunkOf, recordOf } from './contract.ts';
import { DiskFolder, flipByte } from './disk-folder.ts';

const WHOLE: Arc = { from: identifier(0), to: identifier(0) };

let disk: DiskFolder;
beforeEach(async () => {
  disk = await DiskFolder.make();
});
afterEach(() => disk.dispose());

describe('damage', () => {
  test('a flipped byte at any place of a chunk is found by a read and by a scrub', async () => {
    const store = await disk.openStore();
    const bytes = Buffer.from('0123456789'.repeat(20));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength - 1), fc.boolean(), async (at, isScrubbed) => {
        const chunk = chunkOf(bytes, { uploadId: `u${at}-${isScrubbed}` });
        await store.putChunk(chunk, bytes);
        await flipByte(disk.chunkPath(chunk), at);
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
    const store = await disk.openStore();
    const reported: string[] = [];
    store.onCorrupt(({ uploadId }) => reported.push(uploadId));
    const bytes = Buffer.from('precious');
    await store.putChunk(chunkOf(bytes), bytes);
    await chmod(disk.chunkPath(chunkOf(bytes)), 0o644);

    damage(disk.chunkPath(chunkOf(bytes)));

    expect(await store.readChunk(chunkOf(bytes))).toBeUndefined();
    expect(reported).toEqual(['u1']);
  });

  test('a bad copy is kept aside for people, and the file folder stops showing it', async () => {
    const store = await disk.openStore();
    const bytes = Buffer.from('precious');
    const chunk = chunkOf(bytes);
    await store.putChunk(chunk, bytes);
    await store.exposeFile(recordOf('a.txt', 1, { uploadId: 'u1', chunks: [chunk] }));
    await flipByte(disk.chunkPath(chunk), 3);

    await store.readChunk(chunk);

    expect(readdirSync(join(disk.directory, 'quarantine'))).toHaveLength(1);
    await expect.poll(() => readdirSync(join(disk.directory, 'files'))).toEqual([]);
  });

  test('a flipped byte in a record is CORRUPT, not absent; scans and digests leave it out; putting it repairs it', async () => {
    let store = await disk.openStore();
    const names = ['one.txt', 'two.txt', 'three.txt'];
    for (const name of names) await store.putRecord(recordOf(name, 7, { uploadId: `marker-of-${name}` }));
    await store.close();
    const index = join(disk.directory, 'index', 'data.mdb');
    const at = readFileSync(index).lastIndexOf('marker-of-two.txt');
    await flipByte(index, at + 3);

    store = await disk.openStore();
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
    const store = await disk.openStore();
    for (const name of ['one.txt', 'two.txt']) {
      await store.putRecord(recordOf(name, 7, { uploadId: `marker-of-${name}` }));
    }
    const reported: string[] = [];
    store.onCorruptRecord((name) => reported.push(name));
    const index = join(disk.directory, 'index', 'data.mdb');
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
    let store = await disk.openStore({ onFailure: (error) => failures.push(error) });
    const names = Array.from({ length: 300 }, (_, i) => `file ${i}`);
    await Promise.all(
      names.map((name) => store.putRecord(recordOf(name, 1, { uploadId: `marker-of-${name}.` }))),
    );
    const index = join(disk.directory, 'index', 'data.mdb');
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
    store = await disk.openStore();
    expect(readdirSync(disk.directory).filter((name) => name.startsWith('damaged-'))).toHaveLength(1);
  });

  test('an index whose pages make no sense is moved aside, and the store opens empty', async () => {
    let store = await disk.openStore();
    const bytes = Buffer.from('salvage me');
    await store.putRecord(recordOf('a.txt', 1));
    await store.putChunk(chunkOf(bytes), bytes);
    await store.close();
    const index = join(disk.directory, 'index', 'data.mdb');
    writeFileSync(index, Buffer.alloc(statSync(index).size, 0xa5));

    store = await disk.openStore();

    expect(store.getRecord('a.txt')).toBeUndefined();
    const aside = readdirSync(disk.directory).find((name) => name.startsWith('damaged-')) ?? '';
    expect(readdirSync(join(disk.directory, aside)).sort()).toEqual(['chunks', 'index']);
    await store.putChunk(chunkOf(bytes), bytes);
    expect(await store.readChunk(chunkOf(bytes))).toBeDefined();
  });
});

describe('the scrubber', () => {
  test('goes on after a restart where it was, and notes when it verified what', async () => {
    let now = 1_000;
    let store = await disk.openStore({ now: () => now });
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
    store = await disk.openStore({ now: () => now });
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
    const store = await disk.openStore();
    const bytes = Buffer.from('kept');
    await store.putChunk(chunkOf(bytes), bytes);
    const orphan = disk.chunkPath(chunkOf(bytes, { uploadId: 'orphan' }));
    writeFileSync(orphan, 'left by a crash');

    await store.scrubber.pass();

    expect(existsSync(orphan)).toBe(false);
    expect(Buffer.from((await store.readChunk(chunkOf(bytes))) ?? '').toString()).toBe('kept');
  });
});
