import { expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { identifier } from '../../domain/identifier.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import { Replicator, type ReplicaWrite } from '../../node/files/replicator.ts';
import { WriteTracker } from '../../node/files/write-tracker.ts';
import { testMember } from './cluster.ts';
import { never } from './content.ts';

const ringOf = (...names: readonly string[]): RingMember[] =>
  names.map((name, i) => ({ ...testMember(name, i + 1), phase: 'active' }));
const MEMBERS = ringOf('n0', 'n1', 'n2');
const UNBEARABLE_MS = 60_000;

/** Writes to the replicas of the first member's arc. */
function writerIn(members: readonly RingMember[]): (send: ReplicaWrite['send']) => Promise<void> {
  const replicator = new Replicator({
    ring: {
      snapshot: () => ({ version: 1, ringId: 'r', self: members[0] as RingMember, members }),
      onChange: () => () => undefined,
    },
    tracker: new WriteTracker(),
    onMissed: () => undefined,
    now: () => 0,
  });
  const replicas = replicasOf(identifier(0), members);
  return (send) => replicator.write({ replicas, signal: never(), timeoutMs: UNBEARABLE_MS, send });
}

async function ringWhereOneWasSilent(silent: string): Promise<(send: ReplicaWrite['send']) => Promise<void>> {
  const write = writerIn(MEMBERS);
  await write(async ({ instanceId }) => {
    if (instanceId === silent) throw new ChordfsError('DEADLINE_EXCEEDED');
  });
  return write;
}

/** Answers after so long, or fails as a call does whose time is over or that is given up. */
function answer(afterMs: number, { signal, timeoutMs }: Parameters<ReplicaWrite['send']>[1]): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => (afterMs <= timeoutMs ? resolve() : reject(new ChordfsError('DEADLINE_EXCEEDED'))),
      Math.min(afterMs, timeoutMs),
    );
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

test('a write that can do without the replica that was silent does not wait for it', async () => {
  const write = await ringWhereOneWasSilent('n1');

  await write(async ({ instanceId }, options) => {
    if (instanceId === 'n1') await answer(UNBEARABLE_MS, options);
  });
});

test('a write that needs the replica that was silent waits for it', async () => {
  const write = await ringWhereOneWasSilent('n1');

  const writing = write(async ({ instanceId }, options) => {
    if (instanceId === 'n0') throw new ChordfsError('STORAGE_FAILED');
    // Longer than the grace that it is given when the others suffice.
    if (instanceId === 'n1') await answer(600, options);
  });

  await expect(writing).resolves.toBeUndefined();
});

test('a replica that fails is stood in for by the next member that can, sooner than its sender gives up', async () => {
  const write = writerIn(ringOf('n0', 'n1', 'n2', 'n3', 'n4', 'n5'));
  const holders: string[] = [];
  const patienceMs = new Map<string, number>();

  await write(async ({ instanceId }, { timeoutMs }) => {
    patienceMs.set(instanceId, timeoutMs);
    if (instanceId === 'n1') throw new ChordfsError('DEADLINE_EXCEEDED');
    if (instanceId === 'n3') throw new ChordfsError('VOLUME_FULL');
    holders.push(instanceId);
  });

  expect(holders.sort()).toEqual(['n0', 'n2', 'n4']);
  expect(patienceMs.get('n4')).toBeLessThan(UNBEARABLE_MS / 2);
});

test('nobody stands in where all replicas have the copy, and a member that was silent is not asked to', async () => {
  const write = writerIn(ringOf('n0', 'n1', 'n2', 'n3', 'n4'));
  const asked: string[] = [];
  const isSilent = new Set<string>();
  const send: ReplicaWrite['send'] = async ({ instanceId }) => {
    asked.push(instanceId);
    if (isSilent.has(instanceId)) throw new ChordfsError('DEADLINE_EXCEEDED');
  };

  await write(send);
  expect(asked.sort()).toEqual(['n0', 'n1', 'n2']);
  for (const name of ['n1', 'n3']) isSilent.add(name);
  await write(send);
  asked.length = 0;
  await write(send);

  expect(asked.sort()).toEqual(['n0', 'n1', 'n2', 'n4']);
});

test('a member on its way in is asked only for what those that serve have taken', async () => {
  const [full, ...others] = ringOf('n0', 'n1', 'n2');
  const members = [full as RingMember, ...others.map((member) => ({ ...member, phase: 'joining' as const }))];
  const write = writerIn(members);
  const asked: string[] = [];
  const isFull = new Set(['n0']);
  const send: ReplicaWrite['send'] = async ({ instanceId }) => {
    asked.push(instanceId);
    if (isFull.has(instanceId)) throw new ChordfsError('VOLUME_FULL');
  };

  await expect(write(send)).rejects.toMatchObject({ code: 'VOLUME_FULL' });
  expect(asked.splice(0)).toEqual(['n0']);
  isFull.clear();
  await write(send);

  expect(asked).toEqual(['n0', 'n1', 'n2']);
});
