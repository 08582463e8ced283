import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { identifier } from '../../domain/identifier.ts';
import { chunkOf, recordOf } from './contract.ts';
import { DiskFolder } from './disk-folder.ts';
import { FaultyFileSystem, systemError } from './faulty-file-system.ts';

let disk: DiskFolder;
beforeEach(async () => {
  disk = await DiskFolder.make();
});
afterEach(() => disk.dispose());

describe('the file folder', () => {
  test('shows a file under its own name, read-only, as the same file that the chunk is', async () => {
    const store = await disk.openStore();
    const bytes = Buffer.from('abc');
    const chunk = chunkOf(bytes);
    await store.putChunk(chunk, bytes);

    await store.exposeFile(recordOf('ü "a".txt', 1, { uploadId: 'u1', chunks: [chunk] }));
    await store.exposeFile(recordOf('ü "a".txt', 1, { uploadId: 'u1', chunks: [chunk] }));

    const path = join(disk.directory, 'files', 'ü "a".txt');
    expect(readFileSync(path, 'utf8')).toBe('abc');
    expect(statSync(path).mode & 0o777).toBe(0o444);
    expect(statSync(path).ino).toBe(statSync(disk.chunkPath(chunk)).ino);
    expect(readdirSync(join(disk.directory, 'tmp'))).toEqual([]);
    await store.hideFile('ü "a".txt');
    expect(readdirSync(join(disk.directory, 'files'))).toEqual([]);
  });

  test('no name leaves the folder, and no two names meet in it', async () => {
    const store = await disk.openStore();
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

    const contents = readdirSync(join(disk.directory, 'files')).map((file) =>
      readFileSync(join(disk.directory, 'files', file), 'utf8'),
    );
    expect(contents.sort()).toEqual(names.map((name) => `of ${name}`).sort());
    expect(existsSync(join(disk.directory, 'escape'))).toBe(false);
  });

  test('where the file system has no hard links, a copy is shown', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = await disk.openStore({ fileSystem });
    const bytes = Buffer.from('abc');
    await store.putChunk(chunkOf(bytes), bytes);
    fileSystem.before = (operation) => {
      if (operation === 'link') throw systemError('EPERM');
    };

    await store.exposeFile(recordOf('a.txt', 1, { uploadId: 'u1', chunks: [chunkOf(bytes)] }));

    expect(readFileSync(join(disk.directory, 'files', 'a.txt'), 'utf8')).toBe('abc');
  });

  test('an empty file is shown too, and a file of many chunks is not', async () => {
    const store = await disk.openStore();
    const chunk = { ...chunkOf(Buffer.from('abc')), key: hashName('x') };

    await store.exposeFile(recordOf('empty', 1, { sizeBytes: 0, chunks: [] }));
    await store.exposeFile(recordOf('large', 1, { chunks: [chunk, chunk] }));

    expect(readdirSync(join(disk.directory, 'files'))).toEqual(['empty']);
  });

  test('a name goes with its chunk, unless a newer upload shows there by now', async () => {
    const store = await disk.openStore();
    for (const uploadId of ['old', 'new']) {
      const bytes = Buffer.from(uploadId);
      const record = recordOf('a.txt', uploadId === 'old' ? 1 : 2, { uploadId, chunks: [chunkOf(bytes)] });
      await store.putChunk(chunkOf(bytes, { uploadId }), bytes);
      await store.putRecord(record);
      await store.exposeFile(record);
    }

    await store.removeChunk(chunkOf(Buffer.of(), { uploadId: 'old' }));
    expect(readFileSync(join(disk.directory, 'files', 'a.txt'), 'utf8')).toBe('new');

    await store.removeRecord('a.txt', { counter: 2, nodeId: identifier(7) });
    await store.removeChunk(chunkOf(Buffer.of(), { uploadId: 'new' }));
    expect(readdirSync(join(disk.directory, 'files'))).toEqual([]);
  });
});
