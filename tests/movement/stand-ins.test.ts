import { afterEach, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { identifier } from '../../domain/identifier.ts';
import type { Store } from '../../node/store/store.ts';
import { contentOf, download, never, upload } from '../files/content.ts';
import { eventually, MovingCluster, TIMINGS } from './moving-cluster.ts';

/** A replica that is merely slow misses a write, and then the members that took it are lost at once. */
const FIFTH = Math.floor(2 ** 32 / 5);
/** Only the ring's changes and what arrives make anybody compare: the slow one stays behind as long as the test wants. */
const RARELY = { ...TIMINGS, idleIntervalMs: 3_600_000, settleMs: 0, foreignDelayMs: 0 };
const HOLDERS = ['n0', 'n1'] as const;
const SLOW = 'n2';
let cluster: MovingCluster;

afterEach(async () => {
  await cluster.stop();
  expect(cluster.bugs).toEqual([]);
});

/** A ring of five, and a name whose replicas are n0 (its owner), n1 and n2. */
async function ringOfFive(): Promise<string> {
  const garbageLimits = { chunkGraceMs: 0, tombstoneMinAgeMs: 0 };
  cluster = new MovingCluster({ timings: RARELY, garbageLimits });
  await cluster.form(['n0', 'n1', 'n2', 'n3', 'n4'], (i) => (i + 1) * FIFTH - 1);
  const name = Array.from({ length: 100 }, (_, i) => `file ${i}`).find(
    (each) => cluster.control.trueOwner(hashName(each))?.instanceId === 'n0',
  );
  if (name === undefined) throw new Error('no name is owned by n0');
  return name;
}

/** Whatever is sent to it is lost, though the ring hears it all the while. */
function isolateSlowOne(): void {
  cluster.network.onCall = ({ to }) => {
    if (to === SLOW) throw new ChordfsError('PEER_UNREACHABLE', { to });
  };
}

async function loseHolders(): Promise<Map<string, Store>> {
  const disks = new Map(HOLDERS.map((holder) => [holder as string, cluster.node(holder).store]));
  for (const holder of HOLDERS) await cluster.kill(holder);
  cluster.network.onCall = () => undefined;
  await cluster.control.change(cluster.control.members.filter(({ instanceId }) => !disks.has(instanceId)));
  return disks;
}

async function comeBack(disks: ReadonlyMap<string, Store>): Promise<void> {
  for (const [i, holder] of HOLDERS.entries()) {
    const store = disks.get(holder);
    if (store === undefined) throw new Error(`no disk of ${holder}`);
    await cluster.join(holder, (i + 1) * FIFTH - 1, { store, incarnation: 2 });
  }
}

async function seenEverywhere(name: string): Promise<(Buffer | undefined)[]> {
  return await Promise.all([...cluster.nodes.values()].map(({ files }) => download(files, name)));
}

test.each([
  ['a small file', 300],
  ['a file whose chunk goes before its record', 400_000],
])('a write that a slow replica missed outlives both members that took it: %s', async (_, sizeBytes) => {
  const name = await ringOfFive();
  await upload(cluster.files(), name, contentOf(sizeBytes, 1));
  isolateSlowOne();
  const newest = contentOf(sizeBytes, 2);
  await upload(cluster.node('n0').files, name, newest);

  const disks = await loseHolders();

  for (const bytes of await seenEverywhere(name)) expect(bytes?.equals(newest)).toBe(true);
  await comeBack(disks);
  for (const bytes of await seenEverywhere(name)) expect(bytes?.equals(newest)).toBe(true);
  await eventually(() => cluster.copiesOf(name) === 3, 'all copies again');
});

test('a delete that a slow replica missed outlives both members that took it', async () => {
  const name = await ringOfFive();
  await upload(cluster.files(), name, contentOf(300, 1));
  isolateSlowOne();
  await cluster.node('n0').files.delete(name, { signal: never() });

  const disks = await loseHolders();

  expect(await seenEverywhere(name)).toEqual([undefined, undefined, undefined]);
  await comeBack(disks);
  expect(await seenEverywhere(name)).toEqual(Array.from({ length: 5 }, () => undefined));
});

test('what a slow replica missed is brought home to it, and the stand-in keeps nothing', async () => {
  const name = await ringOfFive();
  isolateSlowOne();
  await upload(cluster.node('n0').files, name, contentOf(300, 1));
  const standIn = cluster.node('n3').store;
  expect(standIn.getRecord(name)).toBeDefined();

  cluster.network.onCall = () => undefined;

  const at = hashName(name);
  const position = { from: identifier((at - 1) >>> 0), to: at };
  await eventually(
    () => standIn.getRecord(name) === undefined && standIn.digestChunks(position).count === 0,
    'the stand-in has given it away',
  );
  expect(cluster.copiesOf(name)).toBe(3);
});

test('a stand-in that leaves gives what it holds to the replica that missed it', async () => {
  const name = await ringOfFive();
  isolateSlowOne();
  await upload(cluster.node('n0').files, name, contentOf(300, 1));
  const missed = cluster.node(SLOW).store;
  expect(missed.getRecord(name)).toBeUndefined();
  // From its leaving on the slow one hears the leaver, and asks nobody itself.
  let isLeaving = false;
  cluster.network.onCall = ({ from, to, operation }) => {
    if (from === 'n3' && operation === 'sees') isLeaving = true;
    const isHeard = to !== SLOW || (isLeaving && from === 'n3');
    if (!isHeard || from === SLOW) throw new ChordfsError('PEER_UNREACHABLE', { to });
  };

  await cluster.drain('n3');

  expect(missed.getRecord(name)).toBeDefined();
});

test('a tombstone stays while a stand-in still holds what was deleted, which so is not revived', async () => {
  const name = await ringOfFive();
  isolateSlowOne();
  await upload(cluster.node('n0').files, name, contentOf(300, 1));
  const standIn = cluster.node('n3').store;
  // The slow one is well again, but the stand-in cannot bring anything home yet.
  cluster.network.onCall = ({ from, to }) => {
    if (from === 'n3') throw new ChordfsError('PEER_UNREACHABLE', { to });
  };
  await eventually(() => cluster.copiesOf(name) === 3, 'the slow one has caught up');
  await cluster.node('n0').files.delete(name, { signal: never() });
  await cluster.node('n0').movement.collectGarbage(never());
  expect(standIn.getRecord(name)?.deleted).toBe(false);

  cluster.network.onCall = () => undefined;
  await eventually(() => standIn.getRecord(name) === undefined, 'the stand-in has given it away');

  expect(await seenEverywhere(name)).toEqual(Array.from({ length: 5 }, () => undefined));
});

test('what a lost owner left behind unacknowledged is older than what its successor acknowledges', async () => {
  const name = await ringOfFive();
  // The slow one promises nothing to the owner: the tenure is agreed to by the two that are lost, and a stand-in.
  isolateSlowOne();
  await upload(cluster.node('n0').files, name, contentOf(300, 1));
  cluster.network.onCall = ({ from, to }) => {
    if (from === 'n0' && to !== 'n1') throw new ChordfsError('PEER_UNREACHABLE', { from });
  };
  // The other one takes each version, and its answer is lost.
  const { handlers, store } = cluster.node('n1');
  cluster.network.handlers.set('n1', {
    ...handlers,
    'put-record': async (...parameters) => {
      await handlers['put-record'](...parameters);
      throw new ChordfsError('PEER_UNREACHABLE');
    },
  });
  for (const seed of [2, 3, 4]) {
    const before = store.getRecord(name)?.version.counter ?? 0;
    const giveUp = new AbortController();
    const uploading = upload(cluster.node('n0').files, name, contentOf(300, seed), { signal: giveUp.signal });
    await eventually(() => (store.getRecord(name)?.version.counter ?? 0) > before, 'a version of no quorum');
    giveUp.abort(new ChordfsError('DEADLINE_EXCEEDED'));
    await expect(uploading).rejects.toThrow(ChordfsError);
  }

  const disks = await loseHolders();
  const acknowledged = contentOf(300, 5);
  await upload(cluster.node(SLOW).files, name, acknowledged);
  await comeBack(disks);

  for (const bytes of await seenEverywhere(name)) expect(bytes?.equals(acknowledged)).toBe(true);
});
