import { expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { identifier } from '../../domain/identifier.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import { Replicator, type ReplicaWrite } from '../../node/files/replicator.ts';
import { WriteTracker } from '../../node/files/write-tracker.ts';
import { testMember } from './cluster.ts';
import { never } from './content.ts';

const MEMBERS: RingMember[] = ['n0', 'n1', 'n2'].map((name, i) => ({
  ...testMember(name, i + 1),
  phase: 'active',
}));
const UNBEARABLE_MS = 60_000;

async function ringWhereOneWasSilent(silent: string): Promise<(send: ReplicaWrite['send']) => Promise<void>> {
  const replicator = new Replicator({
    ring: {
      snapshot: () => ({ version: 1, ringId: 'r', self: MEMBERS[0] as RingMember, members: MEMBERS }),
      onChange: () => () => undefined,
    },
    tracker: new WriteTracker(),
    onMissed: () => undefined,
    now: () => 0,
  });
  const replicas = replicasOf(identifier(0), MEMBERS);
  const write = (send: ReplicaWrite['send']) =>
    replicator.write({ replicas, signal: never(), timeoutMs: UNBEARABLE_MS, send });
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
