import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import type { DiskStore, DiskStoreOptions } from '../../node/store/disk-store.ts';
import { contentOf, download, never, upload } from '../files/content.ts';
import { DiskFolder, flipByte } from '../store/disk-folder.ts';
import { FaultyFileSystem, systemError } from '../store/faulty-file-system.ts';
import { eventually, MovingCluster } from './moving-cluster.ts';

/** Rings whose members keep their files on real disks, which rot, fill up and fail. */
const QUARTER = 2 ** 30;
const NAMES = ['n0', 'n1', 'n2', 'n3'];
let cluster: MovingCluster;
const folders = new Map<string, DiskFolder>();
const stores = new Map<string, DiskStore>();

async function openDisk(name: string, options: Partial<DiskStoreOptions> = {}): Promise<DiskStore> {
  const folder = await DiskFolder.make();
  const store = await folder.openStore(options);
  folders.set(name, folder);
  stores.set(name, store);
  return store;
}

async function ringOnDisks(optionsOf: (name: string) => Partial<DiskStoreOptions> = () => ({})) {
  for (const name of NAMES) await openDisk(name, optionsOf(name));
  cluster.storeOf = (name) => storeOf(name);
  await cluster.form(NAMES, (i) => (i + 1) * QUARTER - 1);
}

function storeOf(name: string): DiskStore {
  const store = stores.get(name);
  if (store === undefined) throw new Error(`no disk of ${name}`);
  return store;
}

function folderOf(name: string): DiskFolder {
  const folder = folders.get(name);
  if (folder === undefined) throw new Error(`no folder of ${name}`);
  return folder;
}

beforeEach(() => {
  cluster = new MovingCluster();
});
afterEach(async () => {
  await cluster.stop();
  for (const folder of folders.values()) await folder.dispose();
  folders.clear();
  stores.clear();
  expect(cluster.bugs).toEqual([]);
});

async function everyNodeServes(name: string, content: Buffer): Promise<void> {
  for (const { files } of cluster.nodes.values()) {
    expect((await download(files, name))?.equals(content)).toBe(true);
  }
}

function holdersOf(chunk: Parameters<DiskStore['getChunk']>[0]): string[] {
  return [...stores].filter(([, store]) => store.getChunk(chunk) !== undefined).map(([name]) => name);
}

/** Every copy of the entry that the index file holds, the newest one among them. */
async function rotRecord(holder: string, { uploadId }: FileRecord): Promise<void> {
  const index = join(folderOf(holder).directory, 'index', 'data.mdb');
  const content = readFileSync(index);
  const marker = `"uploadId":"${uploadId}"`;
  for (let at = content.indexOf(marker); at !== -1; at = content.indexOf(marker, at + 1)) {
    await flipByte(index, at + marker.length - 2);
  }
}

describe('one byte that rots in one copy', () => {
  test.each(['read', 'scrub'] as const)(
    'of a chunk, each copy in turn, is never served and is mended, found by a %s',
    async (foundBy) => {
      await ringOnDisks();
      const content = contentOf(CHUNK_SIZE_BYTES + 700, 5);
      const record = await upload(cluster.files(), 'film', content);

      for (const [index, { key, sizeBytes }] of record.chunks.entries()) {
        const id = { key, uploadId: record.uploadId, index };
        const holders = holdersOf(id);
        expect(holders).toHaveLength(3);
        for (const [turn, holder] of holders.entries()) {
          const at = Math.floor(((sizeBytes - 1) * turn) / 2);
          await flipByte(folderOf(holder).chunkPath(id), at);
          if (foundBy === 'scrub') await storeOf(holder).scrubber.pass();
          await everyNodeServes('film', content);
          // No read need have gone to that copy: asking for it is what finds it then.
          await cluster.node(holder).store.readChunk(id);
          await eventually(
            async () => (await storeOf(holder).readChunk(id)) !== undefined,
            'a good copy again',
          );
        }
      }
    },
  );

  test('of a chunk is not copied to a newcomer', async () => {
    await ringOnDisks();
    const content = contentOf(300_000, 6);
    const record = await upload(cluster.files(), 'film', content);
    const id = { key: hashName('film'), uploadId: record.uploadId, index: 0 };
    const [first = '', second = ''] = holdersOf(id);
    for (const holder of [first, second]) await flipByte(folderOf(holder).chunkPath(id), 150_000);

    const joiner = await cluster.join('new', hashName('film') + 1, { store: await openDisk('new') });

    expect(Buffer.from((await joiner.store.readChunk(id)) ?? []).equals(content)).toBe(true);
    await everyNodeServes('film', content);
    for (const holder of holdersOf(id)) {
      await eventually(
        async () => Buffer.from((await storeOf(holder).readChunk(id)) ?? []).equals(content),
        `a good copy at ${holder}`,
      );
    }
  });

  test.each(['read', 'scrub'] as const)(
    'of a record, each copy in turn, is never believed and is mended, found by a %s',
    async (foundBy) => {
      await ringOnDisks();
      const content = contentOf(2_000, 7);
      for (const [i, holder] of NAMES.entries()) {
        const name = `letter ${i}`;
        const record = await upload(cluster.files(), name, content);
        if (storeOf(holder).getRecord(name) === undefined) continue;
        await rotRecord(holder, record);
        if (foundBy === 'scrub') await storeOf(holder).scrubber.pass();

        await everyNodeServes(name, content);

        await eventually(() => {
          try {
            return storeOf(holder).getRecord(name)?.uploadId === record.uploadId;
          } catch {
            return false;
          }
        }, `the record of ${holder} again`);
      }
    },
  );
});

describe('one replica whose disk fails', () => {
  test.each([
    ['is full', 'write', 'ENOSPC'],
    ['cannot write', 'write', 'EIO'],
    ['cannot flush', 'sync', 'EIO'],
    ['cannot flush its folder', 'syncFolder', 'EIO'],
  ] as const)(
    '%s: the others take the upload whole, and it shows nothing partial',
    async (_, operation, code) => {
      const faulty = new FaultyFileSystem();
      await ringOnDisks((name) => (name === 'n1' ? { fileSystem: faulty } : {}));
      const name = ['a', 'b', 'c', 'd', 'e'].find(
        (each) => cluster.control.trueOwner(hashName(each))?.instanceId === 'n0',
      );
      if (name === undefined) throw new Error('no name is owned by n0');
      faulty.before = (current) => {
        if (current === operation) throw systemError(code);
      };

      const content = contentOf(400_000, 8);
      const record = await upload(cluster.node('n0').files, name, content);

      const id = { key: hashName(name), uploadId: record.uploadId, index: 0 };
      expect(holdersOf(id)).not.toContain('n1');
      await everyNodeServes(name, content);
      const second = contentOf(90, 9);
      await upload(cluster.node('n2').files, name, second);
      await everyNodeServes(name, second);
      expect(await cluster.node('n3').files.list({ signal: never() })).toHaveLength(1);
    },
  );
});
