import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { transition } from '../../domain/member-record.ts';
import { launchEvent, terminateEvent } from '../../functions/events.ts';
import { parseEvent } from '../../functions/lambda-handler.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { onTerminate } from '../../functions/on-terminate.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { AutoScalingLifecycleActions, keepOpen } from '../../node/membership/lifecycle-actions.ts';
import { lifecycle } from '../control-plane/aws-events.ts';
import { startTable, type TestTable } from '../control-plane/member-table.ts';
import { FAST, FakeActions, SimulatedNode } from '../control-plane/simulated-node.ts';
import { TestPlane } from '../control-plane/test-plane.ts';
import {
  computeFixture,
  type Fixture,
  GROUP,
  hook,
  REGION,
  until,
} from '../local-compute/compute-fixture.ts';

/** What needs an order of events, or a state of Auto Scaling, that real processes reach by luck alone. */
vi.setConfig({ testTimeout: 60_000 });

const never = new AbortController().signal;
let table: TestTable;
const nodes: SimulatedNode[] = [];
const fixtures: Fixture[] = [];
beforeAll(async () => {
  table = await startTable();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
  for (const fixture of fixtures.splice(0)) await fixture.stop();
});
afterAll(() => table.stop());

async function start(plane: TestPlane, instanceId: string): Promise<SimulatedNode> {
  const node = await SimulatedNode.start(instanceId, { table, stage: plane.stage, now: () => plane.nowMs });
  nodes.push(node);
  return node;
}

test('case 10: a launch event that comes after the terminate event meets a tombstone', async () => {
  const plane = new TestPlane(table);
  const terminate = parseEvent(terminateEvent, lifecycle('terminate', 'i-1'));
  const launch = parseEvent(launchEvent, lifecycle('launch', 'i-1'));

  await onTerminate(plane.dependencies())(terminate);
  await onLaunch(plane.dependencies())(launch);

  expect(await plane.member('i-1')).toMatchObject({ state: 'GONE' });
  expect((await plane.meta()).status).toBe('NONE');
  expect(plane.group.completed).toMatchObject([{ instanceId: 'i-1', result: 'CONTINUE' }]);
});

test("case 14: a member that is LEAVING is nobody's seed", async () => {
  const plane = new TestPlane(table);
  for (const id of ['i-1', 'i-2', 'i-3']) await (await start(plane, id)).join();
  await plane.store.write(
    transition({ stage: plane.stage, instanceId: 'i-2', to: 'LEAVING', nowMs: plane.nowMs }),
  );

  const assignment = await (await start(plane, 'i-4')).membership.awaitAssignment({ signal: never });

  expect(assignment.seeds.map(({ instanceId }) => instanceId).sort()).toEqual(['i-1', 'i-3']);
});

/** One stub instance in Pending:Wait, in a cloud whose hooks are patient for 300 s of its time. */
async function waitingInstance(timeScale: number) {
  const fixture = await computeFixture({ timeScale, shortestHookPatienceMs: 0 });
  fixtures.push(fixture);
  const hooks = [hook('launch', 'LAUNCHING'), hook('terminate', 'TERMINATING')];
  await fixture.deploy({ LifecycleHookSpecificationList: hooks });
  const stateOf = (id: string) =>
    fixture.compute.instances().find(({ instanceId }) => instanceId === id)?.lifecycleState;
  const instanceId = await until('an instance waits', () => {
    const [instance] = fixture.compute.instances();
    return instance?.lifecycleState === 'Pending:Wait' && instance.instanceId;
  });
  const client = new AutoScalingClient({
    endpoint: fixture.url,
    region: REGION,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  const group = { autoScalingGroupName: GROUP, launchHook: 'launch' };
  return { actions: new AutoScalingLifecycleActions(client, group, instanceId), instanceId, stateOf };
}

describe('given a hook that is patient for 300 s of a fast cloud', () => {
  test('case 16: heartbeats keep a longer transfer open, and end at the maximum: then it is abandoned', async () => {
    // Three seconds: a busy machine may hold one heartbeat up for a second or two.
    const { actions, instanceId, stateOf } = await waitingInstance(100);
    const open = keepOpen({
      ...{ actions, hookName: 'launch', periodMs: 100, retryMs: 100, longestMs: 7_000 },
      ...{ signal: never, log: () => undefined },
    });
    const twoTimeoutsLaterMs = performance.now() + 6_200;
    await until('two timeouts have passed', () => performance.now() > twoTimeoutsLaterMs, 30_000);
    expect(stateOf(instanceId)).toBe('Pending:Wait');

    await open;

    await until('it is abandoned', () => stateOf(instanceId) !== 'Pending:Wait', 30_000);
    expect(['Terminating:Wait', 'Terminating:Proceed', undefined]).toContain(stateOf(instanceId));
  });

  test('case 19: completing a launch after its timeout is done at once, not tried again for ever', async () => {
    const { actions, instanceId, stateOf } = await waitingInstance(600);
    await until('its launch timed out', () => stateOf(instanceId) === 'Terminating:Wait', 30_000);

    expect(await actions.complete('launch', 'CONTINUE')).toBe('completed');
    await expect(actions.heartbeat('launch')).resolves.toBeUndefined();
    expect(await actions.complete('terminate', 'CONTINUE')).toBe('completed');
    await until('it is gone', () => stateOf(instanceId) === undefined, 30_000);
    expect(await actions.complete('terminate', 'CONTINUE')).toBe('completed');
  });
});

describe('case 17: no heartbeat outlives what it was for', () => {
  /** Resolves after a heartbeat that was still running would have come several times. */
  async function severalPeriods(): Promise<void> {
    const actions = new FakeActions();
    const periodMs = FAST.lifecycleHeartbeatMs;
    const options = { actions, hookName: 'other', periodMs, retryMs: periodMs, log: () => undefined };
    const ended = new AbortController();
    const open = keepOpen({ ...options, longestMs: 60_000, signal: ended.signal });
    await until('several periods', () => actions.heartbeats >= 10);
    ended.abort();
    await open;
  }

  async function expectSilence(node: SimulatedNode): Promise<void> {
    await severalPeriods();
    const before = node.actions.heartbeats;
    await severalPeriods();
    expect(node.actions.heartbeats).toBe(before);
  }

  test('when the node is a member', async () => {
    const node = await start(new TestPlane(table), 'i-1');
    await node.join();
    await expectSilence(node);
  });

  test('when it gives itself up', async () => {
    const node = await start(new TestPlane(table), 'i-1');
    await node.membership.awaitAssignment({ signal: never });
    await node.membership.startJoining({ signal: never, incarnation: 1 });
    await node.membership.fail({ reason: 'disk broken', signal: never });
    await expectSilence(node);
  });

  test('when the table says that it was given up', async () => {
    const plane = new TestPlane(table);
    await plane.putRing();
    await plane.putMember('i-1', { state: 'FAILED' });
    const node = await start(plane, 'i-1');
    await expect(node.membership.awaitAssignment({ signal: never })).rejects.toMatchObject({
      code: 'INSTANCE_GIVEN_UP',
    });
    await expectSilence(node);
  });

  test('when it was stopped in the middle', async () => {
    const node = await start(new TestPlane(table), 'i-1');
    await node.membership.awaitAssignment({ signal: never });
    node.membership.stop();
    await expectSilence(node);
  });

  test('when it has left', async () => {
    const plane = new TestPlane(table);
    const node = await start(plane, 'i-1');
    await node.join();
    const drained = new Promise<void>((resolve) => {
      node.membership.watch({ drain: () => resolve(), fenced: () => undefined });
    });
    node.metadata.leaves.set('autoscaling/target-lifecycle-state', 'Terminated');
    await drained;
    await node.membership.leave({ reason: 'drained', isDrained: true, signal: never });
    await expectSilence(node);
  });
});

test('case 35: a member that cannot hand everything over in its time gives up, and the log calls it lost', async () => {
  const plane = new TestPlane(table);
  await (await start(plane, 'i-1')).join();
  const node = await start(plane, 'i-2');
  await node.join();

  await node.membership.leave({ reason: 'scale-in', isDrained: false, signal: never });

  expect(await plane.member('i-2')).toMatchObject({
    state: 'DEAD',
    reason: expect.stringMatching(/not finished/),
  });
  expect(node.bus.types()).toContain('Member Lost');
  // For a group that retains such instances; any other ends it as with CONTINUE.
  expect(node.actions.completed).toContain('terminate ABANDON');
});

test('case 35: a member that dies in its drain is given up by the reconciler, in a removal it is just ended', async () => {
  for (const { status, result } of [
    { status: 'ACTIVE', result: 'ABANDON' },
    { status: 'TEARDOWN', result: 'CONTINUE' },
  ] as const) {
    const plane = new TestPlane(table);
    await plane.putRing({ status });
    await plane.putMember('i-1', { state: 'DEAD', lifecycleState: 'Terminating:Wait' });

    await reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

    expect(plane.group.completed).toMatchObject([{ instanceId: 'i-1', result }]);
  }
});

test('case 52: two reconcilers at once do everything once', async () => {
  const plane = new TestPlane(table);
  await plane.putRing();
  for (const id of ['i-1', 'i-2', 'i-3']) await plane.putMember(id);
  plane.instances.stateOf.set('i-2', 'terminated');
  plane.group.view.instances = [
    ...plane.group.view.instances.filter(({ instanceId }) => instanceId !== 'i-2'),
    { instanceId: 'i-4', lifecycleState: 'Pending:Wait' },
  ];
  plane.nowMs += 120_000;

  const run = () => reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });
  await Promise.all([run(), run(), run()]);

  const types = plane.bus.types();
  expect(types.filter((type) => type === 'Member Lost')).toHaveLength(1);
  expect(types.filter((type) => type === 'Member Assigned')).toHaveLength(1);
  expect(await plane.member('i-2')).toMatchObject({ state: 'DEAD' });
  expect(await plane.member('i-4')).toMatchObject({ state: 'ASSIGNED' });
});

test('case 49: an ACTIVE member whose instance is in Terminating:Wait is told to drain', async () => {
  const plane = new TestPlane(table);
  await plane.putRing();
  await plane.putMember('i-1', { lifecycleState: 'Terminating:Wait' });

  await reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

  expect(await plane.member('i-1')).toMatchObject({ state: 'LEAVING' });
  expect(plane.group.completed).toEqual([]);
});

test.each([-30_000, 30_000])(
  'case 55: a clock that is wrong by %d ms buries nobody and takes nothing over',
  async (skewMs) => {
    const plane = new TestPlane(table);
    const first = await SimulatedNode.start('i-1', {
      table,
      stage: plane.stage,
      now: () => plane.nowMs + skewMs,
    });
    nodes.push(first);
    await first.join();
    const second = await (await start(plane, 'i-2')).join();
    plane.group.view.instances = ['i-1', 'i-2'].map((instanceId) => ({
      instanceId,
      lifecycleState: 'InService',
    }));
    plane.nowMs += 20_000;

    await reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

    expect(second).toMatchObject({ role: 'joiner', epoch: 1 });
    expect((await plane.members()).map(({ state }) => state)).toEqual(['ACTIVE', 'ACTIVE']);
  },
);
