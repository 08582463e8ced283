import { afterEach, describe, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import { nodeAt, plainCluster } from './cluster.ts';
import { contentOf, download, inPieces, never, upload } from './content.ts';

/** What becomes of a change that its client is told has failed, and of the version that it would have replaced. */
type Cluster = Awaited<ReturnType<typeof plainCluster>>;
const OWNER = 'n0';
const TAKER = 'n2';
/** Content that travels with its record, and content that is staged before. */
const SIZES = [
  ['small', 3_000],
  ['large', 300_000],
] as const;
let cluster: Cluster;
let name: string;

/** A disk that a test fills up, for chunks or also for records. */
class FillingStore extends MemoryStore {
  isFull = false;
  isFullForRecords = false;

  override async putChunk(...parameters: Parameters<MemoryStore['putChunk']>): Promise<void> {
    if (this.isFull) throw new ChordfsError('VOLUME_FULL');
    await super.putChunk(...parameters);
  }

  override async putRecord(record: FileRecord): Promise<FileRecord> {
    if (this.isFullForRecords) throw new ChordfsError('VOLUME_FULL');
    return await super.putRecord(record);
  }

  override async checkRoomForRecord(): Promise<void> {
    if (this.isFullForRecords) throw new ChordfsError('VOLUME_FULL');
  }
}

afterEach(() => cluster.network.frozen.clear());

async function ringOfThree(): Promise<FillingStore[]> {
  const stores = Array.from({ length: 3 }, () => new FillingStore());
  cluster = await plainCluster(3, (i) => stores[i] ?? new FillingStore());
  for (let i = 0; ; i++) {
    name = `name ${i}`;
    if (cluster.control.trueOwner(hashName(name))?.instanceId === OWNER) return stores;
  }
}

function recordsHeld(): (string | undefined)[] {
  return cluster.nodes.map(({ store }) => store.getRecord(name)?.uploadId);
}

async function expectEverybodyReads(content: Buffer): Promise<void> {
  for (const { plane } of cluster.nodes) {
    expect((await download(plane.files, name))?.equals(content)).toBe(true);
  }
}

/** Everybody's records are lost on the way but one's, of whom only the answer is. */
function loseRecords(): void {
  const { handlers } = nodeAt(cluster.nodes, 2).plane;
  cluster.network.handlers.set(TAKER, {
    ...handlers,
    'put-record': async (...parameters) => {
      await handlers['put-record'](...parameters);
      throw new ChordfsError('PEER_UNREACHABLE');
    },
  });
  cluster.network.onCall = ({ to, operation }) => {
    if (operation === 'put-record' && to !== TAKER) throw new ChordfsError('PEER_UNREACHABLE');
  };
}

function findRecords(): void {
  cluster.network.handlers.set(TAKER, nodeAt(cluster.nodes, 2).plane.handlers);
  cluster.network.onCall = () => undefined;
}

/** Fires when the owner is asked a second time: it has refused the first time. */
function afterOneAttempt(): AbortSignal {
  const controller = new AbortController();
  const lose = cluster.network.onCall;
  let attempts = 0;
  cluster.network.onCall = (call) => {
    if (['commit', 'delete'].includes(call.operation) && ++attempts === 2) controller.abort();
    controller.signal.throwIfAborted();
    return lose(call);
  };
  return controller.signal;
}

async function failMidway(content: Buffer): Promise<void> {
  const staged = await nodeAt(cluster.nodes, 1).plane.files.stage(name, inPieces(content), {
    contentType: '',
    signal: never(),
  });
  loseRecords();
  await expect(staged.commit({ onConflict: 'replace', signal: afterOneAttempt() })).rejects.toThrow();
  findRecords();
}

async function areLive(uploadIds: readonly string[]): Promise<boolean[]> {
  const uploads = uploadIds.map((uploadId) => ({ name, uploadId }));
  const context = { payload: undefined, signal: never() };
  const { reply } = await nodeAt(cluster.nodes, 0).plane.handlers['are-live']({ uploads }, context);
  return reply.live;
}

/** A file is there, then disks fill up: replacing it is refused, and every record is the one from before. */
async function expectNoTraceOfRefused(
  fill: (stores: Awaited<ReturnType<typeof ringOfThree>>) => void,
): Promise<void> {
  const stores = await ringOfThree();
  const before = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));
  fill(stores);

  const replacing = upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(3_000, 2));

  await expect(replacing).rejects.toMatchObject({ code: 'VOLUME_FULL' });
  expect(recordsHeld()).toEqual([before.uploadId, before.uploadId, before.uploadId]);
}

describe('a change that is refused because disks are full', () => {
  test.each([[[1, 2]], [[0, 1]], [[0, 1, 2]]])(
    'leaves no record anywhere, when those of %j are',
    async (full) => {
      await expectNoTraceOfRefused((stores) => {
        for (const i of full) (stores[i] as FillingStore).isFull = true;
      });
      await expectEverybodyReads(contentOf(1_000, 1));
    },
  );

  test.each([[[0]], [[1, 2]]])('for records, too, when those of %j are', async (full) => {
    await expectNoTraceOfRefused((stores) => {
      for (const i of full) (stores[i] as FillingStore).isFullForRecords = true;
    });
  });

  test('is not told so when an earlier attempt may have left its record', async () => {
    const stores = await ringOfThree();
    loseRecords();
    let attempts = 0;
    const { handlers } = nodeAt(cluster.nodes, 0).plane;
    cluster.network.handlers.set(OWNER, {
      ...handlers,
      commit: async (...parameters) => {
        if (attempts++ === 1) for (const store of stores) store.isFullForRecords = true;
        return await handlers.commit(...parameters);
      },
    });

    const uploading = upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(3_000, 2));

    await expect(uploading).rejects.toMatchObject({ code: 'REPLICAS_UNAVAILABLE' });
    expect(attempts).toBeGreaterThan(1);
  });
});

describe('a change that fails after a replica took its record', () => {
  test.each(SIZES)('is not served while its owner is there: %s', async (_, sizeBytes) => {
    await ringOfThree();
    const before = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));

    await failMidway(contentOf(sizeBytes, 2));

    expect(recordsHeld()[0]).toBe(before.uploadId);
    expect(recordsHeld()[2]).not.toBe(before.uploadId);
    await expectEverybodyReads(contentOf(1_000, 1));
  });

  test.each(SIZES)('keeps its content, as does the version before it: %s', async (_, sizeBytes) => {
    await ringOfThree();
    const before = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));

    await failMidway(contentOf(sizeBytes, 2));

    const stray = recordsHeld()[2] ?? '';
    expect(await areLive([before.uploadId, stray])).toEqual([true, true]);
  });

  test.each(SIZES)('gives way to the next change wherever it left a record: %s', async (_, sizeBytes) => {
    await ringOfThree();
    const before = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));
    await failMidway(contentOf(sizeBytes, 2));
    const stray = recordsHeld()[2] ?? '';

    const after = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(500, 3));

    expect(recordsHeld()).toEqual([after.uploadId, after.uploadId, after.uploadId]);
    expect(await areLive([before.uploadId, stray, after.uploadId])).toEqual([false, false, true]);
    await expectEverybodyReads(contentOf(500, 3));
  });

  test('is completed, not done twice, when it is repeated', async () => {
    await ringOfThree();
    loseRecords();
    let attempts = 0;
    const { handlers } = nodeAt(cluster.nodes, 0).plane;
    cluster.network.handlers.set(OWNER, {
      ...handlers,
      commit: async (...parameters) => {
        if (attempts++ === 1) findRecords();
        return await handlers.commit(...parameters);
      },
    });

    const record = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(3_000, 2), {
      onConflict: 'refuse',
    });

    expect(attempts).toBe(2);
    expect(recordsHeld()).toEqual([record.uploadId, record.uploadId, record.uploadId]);
  });

  test('keeps a delete from being told as done, and the file readable', async () => {
    await ringOfThree();
    await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));
    loseRecords();
    const signal = afterOneAttempt();

    await expect(nodeAt(cluster.nodes, 1).plane.files.delete(name, { signal })).rejects.toThrow();

    findRecords();
    await expectEverybodyReads(contentOf(1_000, 1));
  });
});

test('what a version from a single replica replaced is kept until a quorum has that version', async () => {
  await ringOfThree();
  const before = await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));
  await failMidway(contentOf(3_000, 2));
  // Brought by movement, or found by a take-over.
  const stray = nodeAt(cluster.nodes, 2).store.getRecord(name);
  if (stray === undefined) throw new Error('nobody took it');
  cluster.network.down.add(TAKER);
  await nodeAt(cluster.nodes, 0).store.putRecord(stray);

  expect(await areLive([before.uploadId])).toEqual([true]);
  await nodeAt(cluster.nodes, 1).store.putRecord(stray);

  expect(await areLive([before.uploadId])).toEqual([false]);
});

test('an upload whose staged content is gone is refused, and what it would have replaced stays', async () => {
  await ringOfThree();
  await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(1_000, 1));
  const staged = await nodeAt(cluster.nodes, 1).plane.files.stage(name, inPieces(contentOf(5_000_000, 2)), {
    contentType: '',
    signal: never(),
  });
  for (const { store } of cluster.nodes.slice(1)) {
    const whole = { from: hashName(name), to: hashName(name) };
    for (const chunk of store.scanChunks(whole, { limit: 10 })) {
      if (chunk.index === 1) await store.removeChunk(chunk);
    }
  }

  await expect(staged.commit({ onConflict: 'replace', signal: afterOneAttempt() })).rejects.toThrow();

  findRecords();
  await expectEverybodyReads(contentOf(1_000, 1));
});
