import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { terminateEvent } from '../../functions/events.ts';
import { parseEvent } from '../../functions/lambda-handler.ts';
import { onTerminate } from '../../functions/on-terminate.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { lifecycle } from './aws-events.ts';
import { startTable, type TestTable } from './member-table.ts';
import { TestPlane } from './test-plane.ts';

let table: TestTable;
let plane: TestPlane;
beforeAll(async () => {
  table = await startTable();
});
beforeEach(() => {
  plane = new TestPlane(table);
});
afterAll(() => table.stop());

const terminate = (id: string) =>
  onTerminate(plane.dependencies())(parseEvent(terminateEvent, lifecycle('terminate', id)));
const reconcileOnce = () => reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

describe('the reconciler', () => {
  test('assigns an instance whose launch event was lost', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    plane.group.view.instances = [
      ...plane.group.view.instances,
      { instanceId: 'i-2', lifecycleState: 'Pending:Wait' },
    ];

    await reconcileOnce();

    expect(await plane.member('i-2')).toMatchObject({ state: 'ASSIGNED', role: 'joiner' });
  });

  test('buries a ghost, frees its position and tells of it', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    await plane.putMember('i-2', { usedPercent: 30 });
    plane.group.view.instances = plane.group.view.instances.filter(({ instanceId }) => instanceId === 'i-1');
    plane.instances.stateOf.set('i-2', 'terminated');
    plane.nowMs += 120_000;
    await plane.putMember('i-1');

    await reconcileOnce();

    expect(await plane.member('i-2')).toMatchObject({ state: 'DEAD' });
    expect(plane.bus.types()).toEqual(['Member Lost']);
  });

  test('does not bury a running member that is only silent', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    plane.nowMs += 3_600_000;

    await reconcileOnce();

    expect(await plane.member('i-1')).toMatchObject({ state: 'ACTIVE' });
  });

  test.each([
    ['joins', 'JOINING', 'Pending:Wait'],
    ['drains', 'LEAVING', 'Terminating:Wait'],
  ] as const)(
    'leaves a member that %s and is silent to its hook, which hears of it on another way',
    async (_, state, lifecycleState) => {
      await plane.putRing();
      await plane.putMember('i-1');
      await plane.putMember('i-2', { state, lifecycleState });
      plane.nowMs += plane.timing.heartbeatStaleMs + 1;

      await reconcileOnce();
      await reconcileOnce();

      expect(await plane.member('i-2')).toMatchObject({ state });
      expect(plane.group.completed).toEqual([]);
    },
  );

  test('spares a member declared dead whose report comes while it is judged', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    await plane.putMember('i-2');
    await plane.putDeath('i-2');
    plane.nowMs += plane.timing.heartbeatStaleMs + 1;
    // EC2 is asked after the rows have been read.
    plane.instances.beforeStates = () => plane.beat('i-2');

    await reconcileOnce();

    expect(await plane.member('i-2')).toMatchObject({ state: 'ACTIVE' });
  });

  test('tells once of a member that nobody hears of, and counts it as drift for as long as it lasts', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    plane.nowMs += plane.timing.silentToldMs + 1;

    await reconcileOnce();
    plane.nowMs += 60_000;
    await reconcileOnce();

    expect(await plane.member('i-1')).toMatchObject({ state: 'ACTIVE' });
    expect(plane.bus.types()).toEqual(['Member Silent']);
    expect(plane.drift).toEqual([1, 1]);
  });

  test('has an instance replaced that left by itself and that the group still counts on', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { state: 'GONE' });
    await reconcileOnce();
    expect(plane.group.unhealthy).toEqual([]);
    plane.nowMs += plane.timing.goneToEndMs + 1;

    await reconcileOnce();

    expect(plane.group.unhealthy).toEqual(['i-1']);
  });

  test('completes what is stuck: an ACTIVE launch, a termination without a member', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { lifecycleState: 'Pending:Wait' });
    await plane.putMember('i-2', { state: 'GONE', lifecycleState: 'Terminating:Wait' });
    plane.nowMs += plane.timing.unassignedGraceMs + 1;

    await reconcileOnce();

    expect(plane.group.completed).toEqual([
      { instanceId: 'i-1', transition: 'launch', lifecycleHookName: 'launch', result: 'CONTINUE' },
      { instanceId: 'i-2', transition: 'terminate', lifecycleHookName: 'terminate', result: 'CONTINUE' },
    ]);
  });

  test('marks a member LEAVING whose termination event was lost', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { lifecycleState: 'Terminating:Wait' });

    await reconcileOnce();

    expect(await plane.member('i-1')).toMatchObject({ state: 'LEAVING' });
  });

  test('has a lost member replaced that EC2 thinks healthy', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { state: 'DEAD' });

    await reconcileOnce();

    expect(plane.group.unhealthy).toEqual(['i-1']);
  });

  test('sends each event exactly once that a bus which was away did not take', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    plane.bus.isAway = true;
    await terminate('i-1');
    plane.bus.isAway = false;
    plane.nowMs += 60_000;

    await reconcileOnce();
    plane.nowMs += 60_000;
    await reconcileOnce();

    expect(plane.bus.types()).toEqual(['Member Leaving']);
  });

  test('finds nothing to do in a ring that is right', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { usedPercent: 20 });
    await plane.putMember('i-2', { usedPercent: 20 });
    const before = await plane.members();

    await reconcileOnce();

    expect(await plane.members()).toEqual(before);
    expect(plane.bus.events).toEqual([]);
    expect(plane.group.completed).toEqual([]);
  });
});
