import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import type { Files } from '../../node/files/files.ts';
import { contentOf, download, inPieces, never, sha256, upload } from './content.ts';

/** What every implementation of `Files` does. `any` gives some node's view: a different one each time it can. */
export function filesContract(
  title: string,
  open: () => Promise<{ readonly any: () => Files; readonly close: () => Promise<void> }>,
): void {
  describe(`files contract: ${title}`, () => {
    let subject: Awaited<ReturnType<typeof open>>;
    beforeAll(async () => {
      subject = await open();
    });
    afterAll(() => subject.close());

    for (const sizeBytes of [
      0,
      1,
      1_000,
      256 * 1024,
      256 * 1024 + 1,
      CHUNK_SIZE_BYTES,
      CHUNK_SIZE_BYTES + 1,
      9_000_000,
    ]) {
      test(`gives back the ${sizeBytes} bytes it was given, through any node`, async () => {
        const bytes = contentOf(sizeBytes, sizeBytes + 1);

        const record = await upload(subject.any(), `size ${sizeBytes}`, bytes);

        expect(record).toMatchObject({
          sizeBytes,
          sha256: sha256(bytes),
          deleted: false,
          contentType: 'text/plain',
        });
        for (let i = 0; i < 3; i++) {
          expect((await download(subject.any(), `size ${sizeBytes}`))?.equals(bytes)).toBe(true);
        }
      });
    }

    test('reads any range across chunks', async () => {
      const bytes = contentOf(2 * CHUNK_SIZE_BYTES + 100, 7);
      await upload(subject.any(), 'ranges', bytes);

      for (const [start, end] of [
        [0, 1],
        [CHUNK_SIZE_BYTES - 1, CHUNK_SIZE_BYTES + 1],
        [5, 5],
        [10, 2 * CHUNK_SIZE_BYTES + 100],
      ] as const) {
        const part = await download(subject.any(), 'ranges', { start, end });
        expect(part?.equals(bytes.subarray(start, end))).toBe(true);
      }
    });

    test('shows nothing before the commit, and nothing after an abort', async () => {
      const staged = await subject
        .any()
        .stage('unseen', inPieces(contentOf(5_000_000)), { contentType: '', signal: never() });
      expect(await subject.any().open('unseen', { signal: never() })).toBeUndefined();

      await staged.abort();

      expect(await subject.any().open('unseen', { signal: never() })).toBeUndefined();
      expect((await subject.any().list({ signal: never() })).map(({ name }) => name)).not.toContain('unseen');
    });

    test('leaves nothing visible when the body breaks off', async () => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield contentOf(300_000);
        throw new Error('the client went away');
      }

      const staging = subject.any().stage('broken', broken(), { contentType: '', signal: never() });

      await expect(staging).rejects.toThrow('the client went away');
      expect(await subject.any().open('broken', { signal: never() })).toBeUndefined();
    });

    test('replaces as a whole, and a reader that was there before keeps what it opened', async () => {
      await upload(subject.any(), 'replaced', contentOf(9_000_000, 1));
      const before = await subject.any().open('replaced', { signal: never() });

      await upload(subject.any(), 'replaced', contentOf(2_000, 2));

      expect((await download(subject.any(), 'replaced'))?.equals(contentOf(2_000, 2))).toBe(true);
      let readBytes = 0;
      for await (const piece of before?.read({ start: 0, end: 9_000_000 }, never()) ?? [])
        readBytes += piece.byteLength;
      expect(readBytes).toBe(9_000_000);
    });

    test('refuses a taken name or finds a free one, as asked', async () => {
      for (const sizeBytes of [10, 5_000_000]) {
        const name = `taken${sizeBytes}.tar.gz`;
        await upload(subject.any(), name, contentOf(sizeBytes, 1));

        await expect(
          upload(subject.any(), name, contentOf(sizeBytes, 2), { onConflict: 'refuse' }),
        ).rejects.toMatchObject({
          code: 'FILE_EXISTS',
        });
        const renamed = await upload(subject.any(), name, contentOf(sizeBytes, 3), { onConflict: 'rename' });

        expect(renamed.name).toBe(`taken${sizeBytes}.tar (1).gz`);
        expect((await download(subject.any(), renamed.name))?.equals(contentOf(sizeBytes, 3))).toBe(true);
        expect((await download(subject.any(), name))?.equals(contentOf(sizeBytes, 1))).toBe(true);
      }
    });

    test('honours entity tags', async () => {
      const first = await upload(subject.any(), 'tagged', contentOf(10, 1));

      await expect(
        upload(subject.any(), 'tagged', contentOf(10, 2), { ifMatch: ['other'] }),
      ).rejects.toMatchObject({
        code: 'PRECONDITION_FAILED',
      });
      await expect(
        upload(subject.any(), 'tagged', contentOf(10, 2), { ifNoneMatch: ['*'] }),
      ).rejects.toMatchObject({
        code: 'PRECONDITION_FAILED',
      });
      await upload(subject.any(), 'tagged', contentOf(10, 2), { ifMatch: [first.sha256] });

      expect((await download(subject.any(), 'tagged'))?.equals(contentOf(10, 2))).toBe(true);
    });

    test('deletes once', async () => {
      await upload(subject.any(), 'deleted', contentOf(10));

      expect(await subject.any().delete('deleted', { signal: never() })).toBe(true);
      expect(await subject.any().delete('deleted', { signal: never() })).toBe(false);
      expect(await subject.any().open('deleted', { signal: never() })).toBeUndefined();
      await upload(subject.any(), 'deleted', contentOf(11));

      expect((await download(subject.any(), 'deleted'))?.byteLength).toBe(11);
    });

    test('lists every live file by name', async () => {
      const names = Array.from(
        { length: 40 },
        (_, i) => `listed ${String(i).padStart(2, '0')} ü "quoted".txt`,
      );
      await Promise.all(names.map((name) => upload(subject.any(), name, contentOf(10))));

      const listed = (await subject.any().list({ signal: never() })).map(({ name }) => name);

      expect(listed.filter((name) => name.startsWith('listed '))).toEqual(names);
      expect(listed).not.toContain('unseen');
    });

    test('commits of one name at once end with one of them', async () => {
      const uploads = Array.from({ length: 8 }, (_, i) => upload(subject.any(), 'raced', contentOf(100, i)));
      const records = await Promise.all(uploads);

      const versions = new Set(records.map(({ version }) => version.counter));

      expect(versions.size).toBe(8);
      const last = records.reduce((a, b) => (a.version.counter > b.version.counter ? a : b));
      expect(sha256((await download(subject.any(), 'raced')) ?? Buffer.of())).toBe(last.sha256);
    });

    test('refuses names that are no file names', async () => {
      for (const name of ['', '.', '..', 'a/b', 'a\0b', 'x'.repeat(256), '\ud800']) {
        await expect(upload(subject.any(), name, contentOf(1))).rejects.toMatchObject({
          code: 'INVALID_FILE_NAME',
        });
      }
    });
  });
}
