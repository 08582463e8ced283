import { beforeEach, expect, test } from 'vitest';
import { memberKey } from '../../domain/member-record.ts';
import { update } from '../../domain/table-writes.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { TestPlane } from './test-plane.ts';

let plane: TestPlane;
beforeEach(async () => {
  plane = new TestPlane();
  await plane.putRing();
  for (const id of ['i-1', 'i-2', 'i-3', 'i-4']) await plane.putMember(id, { usedPercent: 10 });
  plane.group.view.desiredCapacity = 4;
  await plane.reportRing();
});

/** Minutes in which every member lives and reports the ring as the table has it, but for what `set` says of some. */
async function minutes(
  count: number,
  set: Readonly<Record<string, Parameters<typeof update>[1]['set']>> = {},
): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    plane.nowMs += 60_000;
    await plane.reportRing();
    for (const [instanceId, changes] of Object.entries(set)) {
      await plane.store.write(
        update(memberKey(plane.stage, instanceId), { set: { heartbeatMs: plane.nowMs, ...changes } }, [
          { attribute: 'pk', is: 'present' },
        ]),
      );
    }
    await reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });
  }
}

/** What a member reports that believes in another successor. */
function usageWithSuccessor(successorId: string) {
  return {
    usage: { usedBytes: 1, capacityBytes: 100, successorId, predecessorId: '10000000', arcWeights: [] },
  };
}

test('a ring that closes is no finding, and the drift metric says zero every minute', async () => {
  await minutes(6);

  expect(plane.bus.types()).toEqual([]);
  expect(plane.drift).toEqual([0, 0, 0, 0, 0, 0]);
});

test('successors that leave a member out are told once, however many minutes find them', async () => {
  await minutes(8, { 'i-2': usageWithSuccessor('40000000') });

  expect(plane.bus.types()).toEqual(['Ring Split']);
  expect(plane.bus.events[0]?.detail.cause).toContain('never comes to i-3');
  expect(plane.drift.at(-1)).toBe(1);
});

test('while the membership has just changed, reports may lag', async () => {
  await minutes(2, { 'i-2': usageWithSuccessor('40000000') });

  expect(plane.bus.types()).toEqual([]);
});

test('a member that serves another ring is replaced, when the ring of the table lives and is larger', async () => {
  await minutes(5, { 'i-4': { ringId: 'ring-x' } });

  expect(await plane.member('i-4')).toMatchObject({ state: 'DEAD' });
  expect(plane.group.unhealthy).toContain('i-4');
  expect(plane.bus.types()).toContain('Ring Split');
});

test('a table restored from a backup, to which everybody is a stranger, takes nobody out', async () => {
  const strangers = { ringId: 'ring-x' };

  await minutes(5, { 'i-1': strangers, 'i-2': strangers, 'i-3': strangers, 'i-4': strangers });

  for (const member of await plane.members()) expect(member.state).toBe('ACTIVE');
  expect(plane.group.unhealthy).toEqual([]);
  expect(plane.bus.types()).toEqual(['Ring Split']);
});
