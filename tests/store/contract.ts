import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import { type Identifier, identifier, inArc } from '../../domain/identifier.ts';
import type { Arc, ChunkId, Store } from '../../node/store/store.ts';

/** One store under test. `damageChunk` rots a stored copy in place; `reopen` closes and opens it again, where that does not lose everything. */
export interface StoreSubject {
  readonly store: Store;
  damageChunk(id: ChunkId): Promise<void>;
  readonly reopen?: () => Promise<Store>;
  dispose(): Promise<void>;
}

const WHOLE: Arc = { from: identifier(0), to: identifier(0) };

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function recordOf(name: string, counter: number, more: Partial<FileRecord> = {}): FileRecord {
  return {
    name,
    version: { counter, nodeId: identifier(7) },
    deleted: false,
    sizeBytes: 3,
    sha256: sha256Of(Buffer.from('abc')),
    contentType: 'text/plain',
    modifiedMs: 1_700_000_000_000,
    uploadId: `upload-${counter}`,
    chunks: [{ sha256: sha256Of(Buffer.from('abc')), sizeBytes: 3, key: hashName(name) }],
    ...more,
  };
}

export function chunkOf(bytes: Uint8Array, more: Partial<ChunkId & { name: string }> = {}) {
  return {
    key: hashName('a.txt'),
    uploadId: 'u1',
    index: 0,
    name: 'a.txt',
    sha256: sha256Of(bytes),
    sizeBytes: bytes.byteLength,
    ...more,
  };
}

/** Every position class that matters: both ends of the circle, and a few that repeat. */
const positions = fc.oneof(
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
const arcs = fc.record({ from: positions.map(identifier), to: positions.map(identifier) });

function clockwiseFrom(from: Identifier, key: Identifier): number {
  const distance = (key - from) >>> 0;
  return distance === 0 ? 2 ** 32 : distance;
}

/** What every `Store` promises, whatever it keeps its bytes in. */
export function storeContract(
  title: string,
  open: () => Promise<StoreSubject>,
  { isDurable }: { readonly isDurable: boolean },
): void {
  describe(title, () => {
    let subject: StoreSubject;
    let store: Store;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.dispose());

    describe('records', () => {
      test('a record comes back as it was put', async () => {
        const record = recordOf('ümläut "quoted" name.txt', 1);

        const stored = await store.putRecord(record);

        expect(stored).toEqual(record);
        expect(store.getRecord(record.name)).toEqual(record);
        expect(store.getRecord('another')).toBeUndefined();
      });

      test('the newer of two versions stays, in whatever order they come', async () => {
        await store.putRecord(recordOf('a', 2));

        expect((await store.putRecord(recordOf('a', 1))).version.counter).toBe(2);
        expect((await store.putRecord(recordOf('a', 3))).version.counter).toBe(3);
        expect(store.getRecord('a')?.version.counter).toBe(3);
      });

      test('equal counters are decided by the node id, and the first of two equal versions stays', async () => {
        await store.putRecord(recordOf('a', 2, { version: { counter: 2, nodeId: identifier(9) } }));

        await store.putRecord(recordOf('a', 2, { version: { counter: 2, nodeId: identifier(8) } }));
        await store.putRecord(
          recordOf('a', 2, { version: { counter: 2, nodeId: identifier(9) }, uploadId: 'again' }),
        );

        expect(store.getRecord('a')).toMatchObject({ version: { nodeId: 9 }, uploadId: 'upload-2' });
      });

      test('of many versions put at once the newest stays', async () => {
        const counters = [3, 9, 1, 7, 9, 2, 8];

        await Promise.all(counters.map((counter) => store.putRecord(recordOf('a', counter))));

        expect(store.getRecord('a')?.version.counter).toBe(9);
        expect(store.digestRecords(WHOLE).count).toBe(1);
      });

      test('a tombstone is a record, but not a file', async () => {
        await store.putRecord(recordOf('a', 1));
        await store.putRecord(recordOf('b', 1));

        await store.putRecord(recordOf('a', 2, { deleted: true, sizeBytes: 0, chunks: [] }));

        expect(store.getRecord('a')?.deleted).toBe(true);
        expect(store.usage().fileCount).toBe(1);
        expect(store.digestRecords(WHOLE).count).toBe(2);
      });

      test('a record is removed only while it still has the version that was meant', async () => {
        await store.putRecord(recordOf('a', 2));

        expect(await store.removeRecord('a', { counter: 1, nodeId: identifier(7) })).toBe(false);
        expect(await store.removeRecord('a', { counter: 2, nodeId: identifier(7) })).toBe(true);
        expect(await store.removeRecord('a', { counter: 2, nodeId: identifier(7) })).toBe(false);
        expect(store.getRecord('a')).toBeUndefined();
        expect(store.digestRecords(WHOLE)).toEqual({ count: 0, sizeBytes: 0, hash: '0000000000000000' });
      });

      test.each([
        ['an empty name', ''],
        ['half a surrogate pair, which no UTF-8 can say', 'a\ud800'],
        ['a name too long for the index', 'x'.repeat(2_000)],
      ])('refuses %s', async (_, name) => {
        const refused = expect.objectContaining({ code: 'INVALID_FILE_NAME' });

        expect(() => store.getRecord(name)).toThrow(refused);
        await expect(async () => store.putRecord(recordOf(name, 1))).rejects.toThrow(refused);
      });

      test('names that share a ring position are kept apart', async () => {
        // Found by search: hashName of both is the same 32-bit number.
        const [one, other] = ['collision-21580', 'collision-41528'];
        await store.putRecord(recordOf(one, 1));
        await store.putRecord(recordOf(other, 2));

        expect(store.getRecord(one)?.version.counter).toBe(1);
        expect(store.getRecord(other)?.version.counter).toBe(2);
      });

      test('a scan yields exactly the arc, in ring order, page by page', async () => {
        const names = Array.from({ length: 40 }, (_, i) => `file ${i}`);
        await Promise.all(names.map((name) => store.putRecord(recordOf(name, 1))));

        fc.assert(
          fc.property(
            arcs,
            fc.integer({ min: 0, max: 39 }),
            fc.integer({ min: 1, max: 9 }),
            (some, edge, limit) => {
              // Half of the arcs begin exactly at a stored key, where an off-by-one would show.
              const arc = edge % 2 === 0 ? some : { from: hashName(`file ${edge}`), to: some.to };
              const expected = names
                .filter((name) => inArc(hashName(name), arc.from, arc.to))
                .sort((a, b) => clockwiseFrom(arc.from, hashName(a)) - clockwiseFrom(arc.from, hashName(b)));

              expect(pages(store, arc, limit)).toEqual(expected);
            },
          ),
        );
      });

      test('a digest covers exactly the arc, and equal sets have equal digests', async () => {
        const names = Array.from({ length: 60 }, (_, i) => `file ${i}`);
        await Promise.all(names.map((name) => store.putRecord(recordOf(name, 5))));
        await Promise.all(names.map((name) => store.putRecord(recordOf(name, 6))));
        const whole = store.digestRecords(WHOLE);

        fc.assert(
          fc.property(arcs, fc.integer({ min: 0, max: 59 }), (some, edge) => {
            const arc = edge % 2 === 0 ? some : { from: some.from, to: hashName(`file ${edge}`) };
            const digest = store.digestRecords(arc);
            const inside = names.filter((name) => inArc(hashName(name), arc.from, arc.to));
            expect(digest.count).toBe(inside.length);
            expect(digest.sizeBytes).toBe(3 * inside.length);
            if (arc.from === arc.to) return;
            const rest = store.digestRecords({ from: arc.to, to: arc.from });
            expect(BigInt(`0x${rest.hash}`) ^ BigInt(`0x${digest.hash}`)).toBe(BigInt(`0x${whole.hash}`));
          }),
        );
      });

      test('a digest tells versions and tombstones apart, and forgets what was removed', async () => {
        const empty = store.digestRecords(WHOLE).hash;
        await store.putRecord(recordOf('a', 1));
        const first = store.digestRecords(WHOLE).hash;
        await store.putRecord(recordOf('a', 2));
        const second = store.digestRecords(WHOLE).hash;
        await store.putRecord(recordOf('a', 3, { deleted: true, sizeBytes: 0, chunks: [] }));
        const third = store.digestRecords(WHOLE).hash;
        await store.removeRecord('a', { counter: 3, nodeId: identifier(7) });

        expect(new Set([empty, first, second, third]).size).toBe(4);
        expect(store.digestRecords(WHOLE).hash).toBe(empty);
      });
    });

    describe('chunks', () => {
      test.each([0, 1, 4_096, 65_536, 65_537, CHUNK_SIZE_BYTES])(
        'a chunk of %i bytes comes back as it was put',
        async (sizeBytes) => {
          const bytes = Buffer.alloc(sizeBytes, 'chordfs');
          const chunk = chunkOf(bytes);

          await store.putChunk(chunk, bytes);

          expect(Buffer.compare(Buffer.from((await store.readChunk(chunk)) ?? 'absent'), bytes)).toBe(0);
          expect(store.getChunk(chunk)).toMatchObject(chunk);
        },
      );

      test('bytes that do not match their checksum or size are refused, and nothing is stored', async () => {
        const bytes = Buffer.from('right');
        const corrupt = expect.objectContaining({ code: 'CORRUPT' });

        await expect(store.putChunk(chunkOf(bytes), Buffer.from('wrong'))).rejects.toThrow(corrupt);
        await expect(store.putChunk(chunkOf(bytes), Buffer.from('righ'))).rejects.toThrow(corrupt);

        expect(store.getChunk(chunkOf(bytes))).toBeUndefined();
        expect(store.digestChunks(WHOLE).count).toBe(0);
      });

      test('a chunk comes back whole also in memory that is lent for it', async () => {
        const bytes = Buffer.alloc(100_000, 'chordfs');
        const chunk = chunkOf(bytes);
        await store.putChunk(chunk, bytes, { isChecked: true });

        const read = await store.readChunk(chunk, Buffer.alloc(CHUNK_SIZE_BYTES, 1));

        expect(Buffer.compare(Buffer.from(read ?? 'absent'), bytes)).toBe(0);
      });

      test.each(['', '../escape', 'a/b', 'x'.repeat(65), 'nul\0'])(
        'refuses the upload id %j',
        async (uploadId) => {
          const bytes = Buffer.from('x');

          await expect(store.putChunk(chunkOf(bytes, { uploadId }), bytes)).rejects.toThrow(
            expect.objectContaining({ code: 'INVALID_REQUEST' }),
          );
        },
      );

      test('putting the same chunk many times, also at once, counts it once', async () => {
        const bytes = Buffer.from('same');

        await Promise.all(Array.from({ length: 8 }, () => store.putChunk(chunkOf(bytes), bytes)));
        const usedBytes = store.usage().usedBytes;
        await store.putChunk(chunkOf(bytes), bytes);

        expect(store.digestChunks(WHOLE)).toMatchObject({ count: 1, sizeBytes: 4 });
        expect(store.usage().usedBytes).toBe(usedBytes);
      });

      test('an absent chunk reads as undefined, also after it was removed', async () => {
        const bytes = Buffer.from('short-lived');
        expect(await store.readChunk(chunkOf(bytes))).toBeUndefined();
        await store.putChunk(chunkOf(bytes), bytes);

        await store.removeChunk(chunkOf(bytes));
        await store.removeChunk(chunkOf(bytes));

        expect(await store.readChunk(chunkOf(bytes))).toBeUndefined();
        expect(store.digestChunks(WHOLE)).toEqual({ count: 0, sizeBytes: 0, hash: '0000000000000000' });
      });

      test('chunks of two uploads and of two indexes are kept apart', async () => {
        const ids = [
          { uploadId: 'u', index: 0 },
          { uploadId: 'u', index: 1 },
          { uploadId: 'u', index: 256 },
          { uploadId: 'u-', index: 0 },
          { uploadId: 'u1', index: 0 },
        ];
        for (const [i, id] of ids.entries()) {
          const bytes = Buffer.from(`content ${i}`);
          await store.putChunk(chunkOf(bytes, id), bytes);
        }

        const scanned = store.scanChunks(WHOLE, { limit: 10 });
        expect(scanned.map(({ uploadId, index }) => ({ uploadId, index }))).toEqual(ids);
        const after = scanned[1];
        expect(store.scanChunks(WHOLE, { after, limit: 2 })).toEqual(scanned.slice(2, 4));
        expect(Buffer.from((await store.readChunk(chunkOf(Buffer.of(), ids[3]))) ?? '').toString()).toBe(
          'content 3',
        );
      });

      test('a copy that rotted is never served, is reported once, and is absent from then on', async () => {
        const bytes = Buffer.from('precious');
        const reported: string[] = [];
        store.onCorrupt(({ name, sha256 }) => reported.push(`${name} ${sha256}`));
        await store.putChunk(chunkOf(bytes), bytes);
        await subject.damageChunk(chunkOf(bytes));

        const reads = await Promise.all([store.readChunk(chunkOf(bytes)), store.readChunk(chunkOf(bytes))]);

        expect(reads).toEqual([undefined, undefined]);
        expect(reported).toEqual([`a.txt ${sha256Of(bytes)}`]);
        expect(store.getChunk(chunkOf(bytes))).toBeUndefined();
        expect(store.digestChunks(WHOLE).count).toBe(0);
        await store.putChunk(chunkOf(bytes), bytes);
        expect(Buffer.from((await store.readChunk(chunkOf(bytes))) ?? '')).toEqual(bytes);
      });

      test('usage grows with chunks and shrinks with their removal', async () => {
        const bytes = Buffer.alloc(1_000_000, 1);
        const before = store.usage().usedBytes;

        await store.putChunk(chunkOf(bytes), bytes);
        const during = store.usage().usedBytes;
        await store.removeChunk(chunkOf(bytes));

        expect(during - before).toBeGreaterThanOrEqual(1_000_000);
        expect(store.usage().usedBytes).toBeLessThan(during - 900_000);
      });
    });

    test('settings come back, and absent ones are undefined', async () => {
      await store.putSetting('identity', 'ünique');
      await store.putSetting('identity', 'newer');

      expect(store.getSetting('identity')).toBe('newer');
      expect(store.getSetting('unknown')).toBeUndefined();
    });

    if (!isDurable) return;
    test('everything that was acknowledged is there after the store is opened again', async () => {
      const bytes = Buffer.from('kept');
      await store.putRecord(recordOf('a.txt', 4));
      await store.putChunk(chunkOf(bytes), bytes);
      await store.putSetting('identity', 'me');
      const digests = [store.digestRecords(WHOLE), store.digestChunks(WHOLE), store.usage().fileCount];

      const again = await subject.reopen?.();

      expect(again?.getRecord('a.txt')).toEqual(recordOf('a.txt', 4));
      expect(Buffer.from((await again?.readChunk(chunkOf(bytes))) ?? '')).toEqual(bytes);
      expect(again?.getSetting('identity')).toBe('me');
      expect([again?.digestRecords(WHOLE), again?.digestChunks(WHOLE), again?.usage().fileCount]).toEqual(
        digests,
      );
    });
  });
}

function pages(store: Store, arc: Arc, limit: number): string[] {
  const names: string[] = [];
  let after: FileRecord | undefined;
  for (;;) {
    const page = store.scanRecords(arc, { after, limit });
    names.push(...page.map(({ name }) => name));
    after = page.at(-1);
    if (page.length < limit || after === undefined) return names;
  }
}
