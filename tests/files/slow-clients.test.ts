import { describe, expect, test } from 'vitest';
import { CHUNK_LIMITS } from '../../node/files/chunk-reader.ts';
import type { StagedFile } from '../../node/files/files.ts';
import { UPLOAD_LIMITS } from '../../node/files/uploads.ts';
import { nodeAt, plainCluster } from './cluster.ts';
import { contentOf, download, inPieces, never, upload } from './content.ts';

/** Two turns, and a client that is too slow is found out within milliseconds. */
const TURNS = { atOnce: 2, perCaller: 2, waiting: 10, patienceMs: 600_000, leastBytes: 1, windowMs: 10 };

async function oneNode(limits: Parameters<typeof plainCluster>[2]) {
  const cluster = await plainCluster(1, undefined, limits);
  return { cluster, files: nodeAt(cluster.nodes, 0).plane.files };
}

/** The beginning of a body whose end never comes; `taken` is told when it lies in a buffer. */
async function* stalled(taken: () => void): AsyncGenerator<Uint8Array> {
  yield contentOf(300_000);
  taken();
  await new Promise(() => undefined);
}

describe('slow clients', () => {
  test('a download holds its place until its last piece has been taken, not only until it was given', async () => {
    const { files } = await oneNode({
      chunkLimits: { ...CHUNK_LIMITS, turns: { ...TURNS, windowMs: 600_000 } },
    });
    await upload(files, 'a', contentOf(300_000));
    const file = await files.open('a', { signal: never() });
    const read = () => file?.read({ start: 0, end: 300_000 }, never())[Symbol.asyncIterator]();
    const holders = [read(), read()];
    for (const holder of holders) {
      await holder?.next();
      await holder?.next();
    }
    const order: string[] = [];

    const third = read()
      ?.next()
      .then(() => order.push('third'));
    await new Promise((resolve) => setImmediate(resolve));
    order.push('returned');
    await holders[0]?.return?.(undefined);
    await third;

    expect(order).toEqual(['returned', 'third']);
  });

  test('readers that take nothing lose their places to one that waits', async () => {
    const { files } = await oneNode({ chunkLimits: { ...CHUNK_LIMITS, turns: TURNS } });
    await upload(files, 'a', contentOf(300_000));
    const file = await files.open('a', { signal: never() });
    const codes: unknown[] = [];
    for (const caller of ['b', 'c']) {
      const slow = file
        ?.read({ start: 0, end: 300_000 }, never(), {
          caller,
          onTooSlow: (error) => {
            codes.push(Reflect.get(error, 'code'));
            void slow?.return?.(undefined);
          },
        })
        [Symbol.asyncIterator]();
      await slow?.next();
    }

    expect(await download(files, 'a')).toEqual(contentOf(300_000));

    expect(codes[0]).toBe('NODE_BUSY');
  });

  test('uploads that stall lose their buffers to one that waits', async () => {
    const { files } = await oneNode({ uploadLimits: { ...UPLOAD_LIMITS, turns: TURNS } });
    const slow: Promise<unknown>[] = [];
    for (const name of ['b', 'c']) {
      await new Promise<void>((taken) => {
        const options = { contentType: '', caller: name, signal: never() };
        slow.push(files.stage(name, stalled(taken), options).catch(String));
      });
    }

    await upload(files, 'a', contentOf(1_000_000));

    expect(await download(files, 'a')).toEqual(contentOf(1_000_000));
    expect(await Promise.race(slow)).toContain('NODE_BUSY');
  });

  test('small files of a form that does not end are stored instead of held, and come out whole', async () => {
    const { cluster, files } = await oneNode({ uploadLimits: { ...UPLOAD_LIMITS, heldBytes: 10_000 } });
    const contents = Array.from({ length: 8 }, (_, i) => contentOf(4_000 + i));
    const stage = (name: string, content: Uint8Array) =>
      files.stage(name, inPieces(content, 1_000), { contentType: '', signal: never() });
    const stored: string[] = [];
    const { store } = nodeAt(cluster.nodes, 0);
    const putChunk = store.putChunk.bind(store);
    store.putChunk = async (info, ...rest) => {
      stored.push(info.name);
      await putChunk(info, ...rest);
    };

    const staged: StagedFile[] = [];
    for (const [i, content] of contents.entries()) staged.push(await stage(`${i}`, content));

    expect(stored).toEqual(['2', '3', '4', '5', '6', '7']);
    for (const each of staged) await each.commit({ onConflict: 'replace', signal: never() });
    for (const [i, content] of contents.entries()) {
      expect(await download(files, `${i}`)).toEqual(content);
    }
    // What was committed or given up is held no longer.
    for (let i = 0; i < 8; i++) await (await stage('again', contentOf(9_000))).abort();
    expect(stored).not.toContain('again');
  });
});
