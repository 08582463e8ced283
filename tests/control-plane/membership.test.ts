import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { memberKey, parseMember, transition } from '../../domain/member-record.ts';
import { launchEvent } from '../../functions/events.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { DynamodbItemStore } from '../../node/membership/dynamodb-item-store.ts';
import { HttpInstanceMetadata } from '../../node/membership/instance-metadata.ts';
import { keepOpen } from '../../node/membership/lifecycle-actions.ts';
import { ManagedMembership } from '../../node/membership/managed-membership.ts';
import type { Assignment } from '../../node/membership/membership.ts';
import { FakeMetadata } from './fake-metadata.ts';
import { startTable, type TestTable } from './member-table.ts';
import { FAST, FakeActions, until } from './simulated-node.ts';
import { FakeBus, TestPlane } from './test-plane.ts';

let table: TestTable;
let plane: TestPlane;
let metadata: FakeMetadata;
const running: ManagedMembership[] = [];
beforeAll(async () => {
  table = await startTable();
});
beforeEach(async () => {
  plane = new TestPlane(table);
  plane.nowMs = Date.now();
  metadata = await FakeMetadata.start();
});
afterEach(async () => {
  for (const membership of running.splice(0)) membership.stop();
  await metadata.stop();
});
afterAll(() => table.stop());

const never = new AbortController().signal;

async function startNode(instanceId = 'i-1') {
  metadata.leaves.set('instance-id', instanceId);
  const actions = new FakeActions();
  const bus = new FakeBus(['chordfs.node']);
  const membership = new ManagedMembership({
    stage: plane.stage,
    launchHook: 'launch',
    terminateHook: 'terminate',
    timing: FAST,
    log: () => undefined,
    now: Date.now,
    store: new DynamodbItemStore(table.client, table.tableName),
    bus,
    metadata: new HttpInstanceMetadata(metadata.endpoint),
    actionsOf: () => actions,
  });
  running.push(membership);
  await membership.identify(never);
  return { membership, actions, bus, instanceId };
}

async function join(node: Awaited<ReturnType<typeof startNode>>): Promise<Assignment> {
  const assignment = await node.membership.awaitAssignment({ signal: never });
  await node.membership.startJoining({ signal: never, incarnation: 1 });
  expect(await node.membership.becomeActive(never)).toBe('active');
  return assignment;
}

describe('instance metadata', () => {
  test('the private address stands in where there is no public one, and a refused token is renewed', async () => {
    const client = new HttpInstanceMetadata(metadata.endpoint);
    expect(await client.identity(never)).toEqual({
      instanceId: 'i-1',
      privateIp: '127.25.0.11',
      publicIp: '127.25.0.11',
      availabilityZone: 'us-east-1a',
    });
    metadata.forgetTokens();

    expect(await client.targetLifecycleState(never)).toBeUndefined();
    metadata.leaves.set('autoscaling/target-lifecycle-state', 'Terminated');
    expect(await client.targetLifecycleState(never)).toBe('Terminated');
  });

  test('a service that does not work yet is asked again, and the node knows who it is', async () => {
    metadata.failuresLeft = 3;

    const { membership } = await startNode('i-7');

    expect(metadata.failuresLeft).toBe(0);
    expect(await membership.awaitAssignment({ signal: never })).toMatchObject({ role: 'creator' });
    expect(await plane.member('i-7')).toMatchObject({ state: 'ASSIGNED' });
  });

  test('a service that is not there is an error, not a hang', async () => {
    await expect(new HttpInstanceMetadata('http://127.0.0.1:9').identity(never)).rejects.toMatchObject({
      code: 'PEER_UNREACHABLE',
    });
  });
});

describe('joining', () => {
  test('a node that nobody assigns claims its own place, founds the ring and completes its launch', async () => {
    const node = await startNode();

    const assignment = await join(node);

    expect(assignment).toMatchObject({ role: 'creator', epoch: 1, seeds: [] });
    expect(assignment.clusterKey).toHaveLength(32);
    expect(await plane.meta()).toMatchObject({ status: 'ACTIVE', ringId: assignment.ringId });
    expect(await plane.member('i-1')).toMatchObject({ state: 'ACTIVE', incarnation: 1 });
    await until(() => node.actions.completed.length > 0, 'launch completed');
    expect(node.actions.completed).toEqual(['launch CONTINUE']);
    expect(node.bus.types()).toEqual(['Member Assigned', 'Ring Created', 'Member Joined']);
  });

  test('a joiner gets the key, the ring and a live seed', async () => {
    const first = await startNode('i-1');
    const created = await join(first);
    const second = await startNode('i-2');

    const assignment = await join(second);

    expect(assignment).toMatchObject({ role: 'joiner', ringId: created.ringId });
    expect(assignment.clusterKey).toEqual(created.clusterKey);
    expect(assignment.seeds.map(({ instanceId }) => instanceId)).toEqual(['i-1']);
    expect(assignment.position).not.toBe(created.position);
    const live = await second.membership.registry().liveMembers(never);
    expect(live.map(({ instanceId, phase }) => `${instanceId} ${phase}`).sort()).toEqual([
      'i-1 active',
      'i-2 active',
    ]);
  });

  test('the place the Lambda gave is taken as it is', async () => {
    await onLaunch(plane.dependencies())(
      launchEvent.parse({
        'detail-type': 'EC2 Instance-launch Lifecycle Action',
        source: 'aws.autoscaling',
        detail: {
          LifecycleActionToken: 't',
          AutoScalingGroupName: 'g',
          LifecycleHookName: 'launch',
          EC2InstanceId: 'i-1',
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
        },
      }),
    );
    const assigned = await plane.member('i-1');

    const assignment = await join(await startNode());

    expect(assignment.position).toBe(assigned?.position);
    expect(assignment.ringId).toBe(assigned?.ringId);
  });

  test('the launch action is kept open while joining', async () => {
    const node = await startNode();
    await node.membership.awaitAssignment({ signal: never });
    await node.membership.startJoining({ signal: never, incarnation: 1 });
    await until(() => node.actions.heartbeats >= 3, 'lifecycle heartbeats');

    await node.membership.becomeActive(never);
    await until(() => node.actions.completed.length > 0, 'launch completed');

    expect(node.actions.completed).toEqual(['launch CONTINUE']);
  });

  test('lifecycle heartbeats end with the work, and at their hard maximum in any case', async () => {
    const actions = new FakeActions();
    const ended = new AbortController();
    const options = { actions, hookName: 'launch', periodMs: 5, retryMs: 5, log: () => undefined };
    const untilEnded = keepOpen({ ...options, longestMs: 60_000, signal: ended.signal });
    await until(() => actions.heartbeats >= 3, 'lifecycle heartbeats');

    ended.abort();

    await untilEnded;
    await keepOpen({ ...options, longestMs: 20, signal: never });
  });

  test('a lifecycle heartbeat that failed is repeated long before its period is over', async () => {
    const actions = new FakeActions();
    actions.heartbeatFailuresLeft = 3;
    const ended = new AbortController();
    const options = { actions, hookName: 'launch', periodMs: 3_600_000, retryMs: 5, log: () => undefined };
    const open = keepOpen({ ...options, longestMs: 3_600_000, signal: ended.signal });

    await until(() => actions.heartbeats === 1, 'the heartbeat');

    ended.abort();
    await open;
  });

  test('completion is retried while AWS does not know the action yet', async () => {
    const node = await startNode();
    node.actions.notYet = 4;
    node.actions.isAway = true;
    await join(node);
    node.actions.isAway = false;

    await until(() => node.actions.completed.length > 0, 'launch completed');

    expect(node.actions.notYet).toBe(0);
  });

  test('an instance that was given up learns it at once', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { state: 'FAILED' });
    const node = await startNode();

    await expect(node.membership.awaitAssignment({ signal: never })).rejects.toMatchObject({
      code: 'INSTANCE_GIVEN_UP',
    });
  });

  test('a creator that was overtaken is fenced, and joins the other ring', async () => {
    const slow = await startNode('i-1');
    await slow.membership.awaitAssignment({ signal: never });
    await slow.membership.startJoining({ signal: never, incarnation: 1 });
    plane.nowMs += plane.timing.creatorLeaseMs + 1_000;
    await onLaunch(plane.dependencies())(
      launchEvent.parse({
        'detail-type': 'EC2 Instance-launch Lifecycle Action',
        source: 'aws.autoscaling',
        detail: {
          LifecycleActionToken: 't',
          AutoScalingGroupName: 'g',
          LifecycleHookName: 'launch',
          EC2InstanceId: 'i-2',
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
        },
      }),
    );
    const fast = await startNode('i-2');
    const created = await join(fast);

    expect(await slow.membership.becomeActive(never)).toBe('fenced');
    const again = await slow.membership.awaitAssignment({ signal: never });

    expect(again).toMatchObject({ role: 'joiner', ringId: created.ringId });
    await slow.membership.startJoining({ signal: never, incarnation: 1 });
    expect(await slow.membership.becomeActive(never)).toBe('active');
  });

  test('a restarted member gets its old place back, and its new life is registered', async () => {
    const first = await startNode('i-1');
    const created = await join(first);
    const second = await startNode('i-2');
    await join(second);
    first.membership.stop();
    const restarted = await startNode('i-1');

    const assignment = await restarted.membership.awaitAssignment({
      signal: never,
      remembered: { ringId: created.ringId, position: created.position },
    });
    await restarted.membership.startJoining({ signal: never, incarnation: 2 });

    expect(assignment).toMatchObject({ role: 'resumed', position: created.position });
    expect(await plane.member('i-1')).toMatchObject({ state: 'ACTIVE', incarnation: 2 });
  });

  test('a member declared dead while it was away comes back as a joiner of its own place', async () => {
    const first = await startNode('i-1');
    const created = await join(first);
    const second = await startNode('i-2');
    await join(second);
    const [suspect, voter] = [
      { instanceId: 'i-1', incarnation: 1 },
      { instanceId: 'i-2', incarnation: 1 },
    ];
    await second.membership.registry().voteDead({ suspect, voter, evidence: 'refused' }, never);

    await first.membership.startJoining({ signal: never, incarnation: 2 });

    expect(await plane.member('i-1')).toMatchObject({ state: 'JOINING', position: created.position });
    expect(await first.membership.becomeActive(never)).toBe('active');
  });
});

describe('leaving', () => {
  test.each([
    ['the instance metadata', () => metadata.leaves.set('autoscaling/target-lifecycle-state', 'Terminated')],
    ['a Spot notice', () => metadata.leaves.set('spot/instance-action', '{"action":"terminate"}')],
  ])('%s starts the drain, once', async (_name, announce) => {
    const node = await startNode();
    await join(node);
    const notices: string[] = [];
    node.membership.watch({ drain: ({ cause }) => notices.push(cause), fenced: () => undefined });
    node.membership.startHeartbeats(() => {
      throw new Error('no usage');
    });

    announce();
    await until(() => notices.length > 0, 'drain');
    expect(await plane.member('i-1')).toMatchObject({ state: 'LEAVING' });
    await node.membership.leave({ reason: 'drained', isDrained: true, signal: never });

    expect(notices).toHaveLength(1);
    expect(await plane.member('i-1')).toMatchObject({ state: 'GONE' });
    expect(node.actions.completed).toContain('terminate CONTINUE');
    expect(node.bus.types()).toEqual(expect.arrayContaining(['Member Leaving', 'Member Left']));
  });

  test('its own row LEAVING starts the drain when the metadata says nothing', async () => {
    const node = await startNode();
    await join(node);
    const notices: { cause: string; skip: boolean }[] = [];
    node.membership.watch({ drain: (notice) => notices.push(notice), fenced: () => undefined });
    node.membership.startHeartbeats(() => ({
      usedBytes: 1,
      capacityBytes: 2,
      fileCount: 0,
      predecessorId: undefined,
      successorId: undefined,
      arcWeights: [],
    }));

    await plane.store.write(
      transition({ stage: plane.stage, instanceId: 'i-1', to: 'LEAVING', nowMs: Date.now() }),
    );
    await until(() => notices.length > 0, 'drain');

    // It is the last member: there is nobody to hand anything over to.
    expect(notices[0]?.skip).toBe(true);
    expect((await plane.member('i-1'))?.usage).toMatchObject({ usedBytes: 1, capacityBytes: 2 });
  });

  test('while the stage is torn down nothing is handed over', async () => {
    const node = await startNode('i-1');
    await join(node);
    await join(await startNode('i-2'));
    await plane.putRing({ status: 'TEARDOWN', ringId: (await plane.meta()).ringId });
    const skips: boolean[] = [];
    node.membership.watch({ drain: ({ skip }) => skips.push(skip), fenced: () => undefined });

    metadata.leaves.set('autoscaling/target-lifecycle-state', 'Terminated');
    await until(() => skips.length > 0, 'drain');

    expect(skips).toEqual([true]);
  });

  test('a node that cannot join gives its instance up', async () => {
    const node = await startNode();
    await node.membership.awaitAssignment({ signal: never });
    await node.membership.startJoining({ signal: never, incarnation: 1 });

    await node.membership.fail({ reason: 'disk broken', signal: never });

    expect(await plane.member('i-1')).toMatchObject({ state: 'FAILED', reason: 'disk broken' });
    expect(node.actions.completed).toEqual(['launch ABANDON']);
  });

  test('a node that was buried is told, once', async () => {
    const node = await startNode();
    await join(node);
    const reasons: string[] = [];
    node.membership.watch({ drain: () => undefined, fenced: (reason) => reasons.push(reason) });
    node.membership.startHeartbeats(() => {
      throw new Error('no usage');
    });

    await plane.store.write(
      transition({
        stage: plane.stage,
        instanceId: 'i-1',
        to: 'DEAD',
        nowMs: Date.now(),
        set: { reason: 'gone' },
      }),
    );
    await until(() => reasons.length > 0, 'fenced');

    expect(reasons[0]).toContain('DEAD');
    const item = await plane.store.get(memberKey(plane.stage, 'i-1'));
    expect(item === undefined ? undefined : parseMember(item)?.state).toBe('DEAD');
  });
});
