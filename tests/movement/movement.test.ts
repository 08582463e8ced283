import { afterEach, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import { contentOf, download, never, upload } from '../files/content.ts';
import { eventually, MovingCluster, ShowingStore } from './moving-cluster.ts';

const QUARTER = 2 ** 30;
let cluster: MovingCluster;

afterEach(async () => {
  await cluster.stop();
  expect(cluster.bugs).toEqual([]);
});

async function ringOf(count: number, options = {}): Promise<MovingCluster> {
  cluster = new MovingCluster(options);
  await cluster.form(
    Array.from({ length: count }, (_, i) => `n${i}`),
    (i) => (i + 1) * Math.floor(2 ** 32 / count) - 1,
  );
  return cluster;
}

const NAMES = Array.from({ length: 60 }, (_, i) => `file ${i}`);

async function fill(): Promise<void> {
  for (const [i, name] of NAMES.entries()) await upload(cluster.files(i), name, contentOf(200 + i, i));
  await upload(cluster.files(0), 'large', contentOf(2 * CHUNK_SIZE_BYTES + 5, 99));
}

async function everyFileComesBack(): Promise<void> {
  for (const [i, name] of NAMES.entries()) {
    expect((await download(cluster.files(i), name))?.equals(contentOf(200 + i, i)), name).toBe(true);
  }
  expect((await download(cluster.files(1), 'large'))?.equals(contentOf(2 * CHUNK_SIZE_BYTES + 5, 99))).toBe(
    true,
  );
}

async function allCopies(count: number): Promise<void> {
  await eventually(
    () => [...NAMES, 'large'].every((name) => cluster.copiesOf(name) === count),
    `${count} copies of all`,
  );
}

test('a joiner holds everything it must before it becomes active', async () => {
  await ringOf(4);
  await fill();

  await cluster.join('new', QUARTER / 2);

  expect([...NAMES, 'large'].map((name) => cluster.copiesOf(name)).filter((copies) => copies < 3)).toEqual(
    [],
  );
  await everyFileComesBack();
});

test('a join moves what the joiner must hold, and little more', async () => {
  await ringOf(3);
  await fill();
  cluster.network.payloadBytes = 0;

  const joiner = await cluster.join('new', QUARTER / 2);

  expect(cluster.network.payloadBytes).toBeLessThanOrEqual(1.15 * joiner.store.usage().usedBytes);
});

test('drops what is no longer its own once every rightful replica has it', async () => {
  await ringOf(3);
  await fill();
  await cluster.join('new', QUARTER / 2);

  const copies = (name: string) =>
    [...cluster.nodes.values()].filter(({ store }) => store.getRecord(name) !== undefined).length;
  await eventually(() => NAMES.every((name) => copies(name) === 3), 'exactly three records of each file');

  await allCopies(3);
  await everyFileComesBack();
});

test('hands everything over before it leaves', async () => {
  await ringOf(5);
  await fill();

  for (const name of ['n2', 'n0']) {
    await cluster.drain(name);
    expect([...NAMES, 'large'].map((file) => cluster.copiesOf(file)).filter((count) => count < 3)).toEqual(
      [],
    );
  }

  await everyFileComesBack();
});

test('shrinks to a single node and grows again', async () => {
  await ringOf(3);
  await fill();

  await cluster.drain('n0');
  await cluster.drain('n2');
  await everyFileComesBack();
  await cluster.join('n3', 77);
  await cluster.join('n4', 2 ** 31);

  await allCopies(3);
  await everyFileComesBack();
});

test('copies again what a dead member held', async () => {
  await ringOf(5);
  await fill();

  for (const name of ['n1', 'n3']) {
    await cluster.kill(name);
    await cluster.bury(name);
    await allCopies(3);
  }

  await everyFileComesBack();
});

test('two neighbours dying at once lose nothing', async () => {
  await ringOf(5);
  await fill();

  await cluster.kill('n1');
  await cluster.kill('n2');
  await cluster.bury('n1');
  await cluster.bury('n2');

  await allCopies(3);
  await everyFileComesBack();
});

test('reads and writes go on while the dead member is still believed in', async () => {
  await ringOf(4);
  await fill();

  await cluster.kill('n1');
  await everyFileComesBack();
  const orphan = NAMES.find((name) => cluster.control.trueOwner(hashName(name))?.instanceId !== 'n1') ?? '';
  await upload(cluster.files(), orphan, contentOf(9, 9));

  expect((await download(cluster.files(2), orphan))?.equals(contentOf(9, 9))).toBe(true);
});

test('a restarted member catches up before it speaks', async () => {
  await ringOf(3);
  await fill();
  const { store, member } = cluster.node('n1');
  await cluster.kill('n1');
  await cluster.bury('n1');
  await upload(cluster.files(), NAMES[0] ?? '', contentOf(50, 1_000));
  await cluster.files().delete(NAMES[1] ?? '', { signal: never() });

  const back = await cluster.join('n1', member.id, { store, incarnation: 2 });

  expect((await download(back.files, NAMES[0] ?? ''))?.equals(contentOf(50, 1_000))).toBe(true);
  expect(await back.files.open(NAMES[1] ?? '', { signal: never() })).toBeUndefined();
  expect(back.store.getRecord(NAMES[1] ?? '')?.deleted).toBe(true);
});

test('a replica that missed a write is told and gets it', async () => {
  await ringOf(3, {
    timings: { idleIntervalMs: 3_600_000, settleMs: 50, foreignDelayMs: 0, firstRetryMs: 20 },
  });
  cluster.network.onCall = ({ to, operation }) => {
    if (to === 'n2' && operation !== 'tenure') throw new ChordfsError('PEER_UNREACHABLE');
  };
  const name = NAMES.find((each) => cluster.control.trueOwner(hashName(each))?.instanceId === 'n0') ?? '';

  await upload(cluster.node('n0').files, name, contentOf(10));
  expect(cluster.node('n2').store.getRecord(name)).toBeUndefined();
  cluster.network.onCall = () => undefined;

  await eventually(() => cluster.copiesOf(name) === 3, 'the third copy');
});

test('a joiner that missed a write at the last moment does not answer without it', async () => {
  await ringOf(3);
  const id = QUARTER / 2;
  const isInArc = (key: number) => key > QUARTER / 4 && key <= id;
  const name =
    Array.from({ length: 1_000 }, (_, i) => `late ${i}`).find((each) => isInArc(hashName(each))) ?? '';
  await upload(cluster.files(), name, contentOf(10, 1));

  const joiner = await cluster.join('new', id, {
    beforeActive: async () => {
      cluster.network.onCall = ({ to, operation }) => {
        if (to === 'new' && ['put-record', 'nudge'].includes(operation))
          throw new ChordfsError('PEER_UNREACHABLE');
      };
      await upload(cluster.node('n0').files, name, contentOf(10, 2));
    },
  });
  expect(cluster.control.trueOwner(hashName(name))?.instanceId).toBe('new');

  expect((await download(joiner.files, name))?.equals(contentOf(10, 2))).toBe(true);
});

test('a damaged copy is repaired from a good one, whichever copy it is', async () => {
  await ringOf(4);
  await upload(cluster.files(), 'rotten', contentOf(2 * CHUNK_SIZE_BYTES, 5));
  const record = cluster.files(0).open('rotten', { signal: never() });
  const { chunks, uploadId } = (await record)?.record ?? { chunks: [], uploadId: '' };

  for (const [index, { key }] of chunks.entries()) {
    for (const node of cluster.nodes.values()) {
      const id = { key, uploadId, index };
      if (node.store.getChunk(id) === undefined || !(node.store instanceof MemoryStore)) continue;
      node.store.damageChunk(id);
      expect((await download(node.files, 'rotten'))?.equals(contentOf(2 * CHUNK_SIZE_BYTES, 5))).toBe(true);
      await eventually(async () => (await node.store.readChunk(id)) !== undefined, 'an intact copy again');
    }
  }
});

test('brings home what only a member without any right to it holds', async () => {
  await ringOf(5);
  const name = 'stray file';
  await upload(cluster.files(), name, contentOf(100, 3));
  const holders = [...cluster.nodes.values()].filter(({ store }) => store.getRecord(name) !== undefined);
  const record = holders[0]?.store.getRecord(name);
  const other = [...cluster.nodes.values()].find(({ store }) => store.getRecord(name) === undefined);
  const [ref] = record?.chunks ?? [];
  if (record === undefined || ref === undefined || other === undefined) throw new Error('no such file');

  await other.store.putChunk({ ...ref, uploadId: record.uploadId, index: 0, name }, contentOf(100, 3));
  await other.store.putRecord(record);
  for (const { store } of holders) {
    await store.removeRecord(name, record.version);
    await store.removeChunk({ key: ref.key, uploadId: record.uploadId, index: 0 });
  }

  await eventually(() => cluster.copiesOf(name) === 3, 'three copies at home');
  await eventually(() => other.store.getRecord(name) === undefined, 'the stray copy dropped');
});

test('collects replaced and aborted chunks, and never those of an upload in progress', async () => {
  await ringOf(4, { garbageLimits: { chunkGraceMs: 0, tombstoneMinAgeMs: 0 } });
  const chunkCount = () =>
    [...cluster.nodes.values()].reduce(
      (sum, { store }) =>
        sum + store.scanChunks({ from: 0 as never, to: 0 as never }, { limit: 1_000 }).length,
      0,
    );
  const collect = async () => {
    for (let round = 0; round < 2; round++) {
      for (const { movement } of cluster.nodes.values()) await movement.collectGarbage(never());
    }
  };
  await upload(cluster.files(), 'kept', contentOf(CHUNK_SIZE_BYTES + 1));
  await upload(cluster.files(), 'replaced', contentOf(CHUNK_SIZE_BYTES + 1));
  await upload(cluster.files(), 'replaced', contentOf(5));
  const body = async function* () {
    yield contentOf(2 * CHUNK_SIZE_BYTES + 1, 4);
  };
  const staged = await cluster.files(1).stage('in progress', body(), { contentType: '', signal: never() });
  const aborted = await cluster.files(2).stage('aborted', body(), { contentType: '', signal: never() });
  await aborted.abort();

  await collect();

  expect(chunkCount()).toBe(3 * (2 + 1 + 3));
  await staged.commit({ onConflict: 'replace', signal: never() });
  expect(
    (await download(cluster.files(3), 'in progress'))?.equals(contentOf(2 * CHUNK_SIZE_BYTES + 1, 4)),
  ).toBe(true);
});

test('a tombstone goes once all replicas have it, and not before', async () => {
  await ringOf(4, { garbageLimits: { chunkGraceMs: 0, tombstoneMinAgeMs: 0 } });
  await upload(cluster.files(), 'gone', contentOf(5));
  const owner = cluster.node(cluster.control.trueOwner(hashName('gone'))?.instanceId ?? '');
  const replica = [...cluster.nodes.values()].find(
    (node) => node !== owner && node.store.getRecord('gone') !== undefined,
  );
  const away = replica?.member.instanceId ?? '';
  await owner.files.delete('gone', { signal: never() });

  cluster.network.down.add(away);
  await owner.movement.collectGarbage(never());
  expect(owner.store.getRecord('gone')?.deleted).toBe(true);
  cluster.network.down.delete(away);
  await eventually(async () => {
    await owner.movement.collectGarbage(never());
    return [...cluster.nodes.values()].every(({ store }) => store.getRecord('gone') === undefined);
  }, 'no trace of the file');
});

test('shows the single-chunk files it owns, and no others', async () => {
  await ringOf(3);
  const shown = (name: string) =>
    [...cluster.nodes.entries()]
      .filter(([, { store }]) => store instanceof ShowingStore && store.shown.has(name))
      .map(([id]) => id);
  await fill();
  const ownerOf = (name: string) => cluster.control.trueOwner(hashName(name))?.instanceId;

  await eventually(
    () => NAMES.every((name) => shown(name).join() === ownerOf(name)),
    'each file at its owner alone',
  );
  await cluster.join('new', QUARTER / 2);
  await eventually(
    () => NAMES.every((name) => shown(name).join() === ownerOf(name)),
    'the same after a join',
  );
  await cluster.files().delete(NAMES[0] ?? '', { signal: never() });

  await eventually(() => shown(NAMES[0] ?? '').length === 0, 'deleted files vanish');
  expect(shown('large')).toEqual([]);
});
