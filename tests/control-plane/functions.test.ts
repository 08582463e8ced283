import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { metaKey } from '../../domain/ring-meta.ts';
import { alarmEvent, asgResultEvent, launchEvent, terminateEvent } from '../../functions/events.ts';
import { InvalidEventError, parseEvent } from '../../functions/lambda-handler.ts';
import { onAlarm } from '../../functions/on-alarm.ts';
import { onAsgResult } from '../../functions/on-asg-result.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { onTerminate } from '../../functions/on-terminate.ts';
import { reconcile } from '../../functions/reconcile.ts';
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

function lifecycle(kind: 'launch' | 'terminate', instanceId: string, detail: Record<string, unknown> = {}) {
  return {
    version: '0',
    id: 'e-1',
    'detail-type': `EC2 Instance-${kind} Lifecycle Action`,
    source: 'aws.autoscaling',
    detail: {
      LifecycleActionToken: `token-${instanceId}`,
      AutoScalingGroupName: 'chordfs-test',
      LifecycleHookName: kind,
      EC2InstanceId: instanceId,
      LifecycleTransition: `autoscaling:EC2_INSTANCE_${kind === 'launch' ? 'LAUNCHING' : 'TERMINATING'}`,
      Origin: kind === 'launch' ? 'EC2' : 'AutoScalingGroup',
      Destination: kind === 'launch' ? 'AutoScalingGroup' : 'EC2',
      ...detail,
    },
  };
}
function alarm(value: string, timestamp = '2026-01-01T12:00:00.000+0000', alarmName = 'disk') {
  return {
    'detail-type': 'CloudWatch Alarm State Change',
    source: 'aws.cloudwatch',
    detail: { alarmName, state: { value, reason: 'r', timestamp }, configuration: { metrics: [] } },
  };
}
const launch = (id: string) =>
  onLaunch(plane.dependencies())(parseEvent(launchEvent, lifecycle('launch', id)));
const terminate = (id: string) =>
  onTerminate(plane.dependencies())(parseEvent(terminateEvent, lifecycle('terminate', id)));
const fireAlarm = (event: unknown) =>
  onAlarm({ ...plane.dependencies(), diskAlarmName: 'disk' })(parseEvent(alarmEvent, event));
const reconcileOnce = () => reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

describe('events at the door', () => {
  test('an event of another kind is refused, and the error names the field', () => {
    expect(() => parseEvent(launchEvent, lifecycle('terminate', 'i-1'))).toThrow(InvalidEventError);
    expect(() => parseEvent(launchEvent, lifecycle('terminate', 'i-1'))).toThrow(/detail-type/);
    expect(() => parseEvent(launchEvent, lifecycle('launch', ''))).toThrow(/EC2InstanceId/);
  });

  test('warm-pool places are refused', () => {
    expect(() => parseEvent(launchEvent, lifecycle('launch', 'i-1', { Origin: 'WarmPool' }))).toThrow(
      /warm pool/,
    );
    expect(() =>
      parseEvent(terminateEvent, lifecycle('terminate', 'i-1', { Destination: 'WarmPool' })),
    ).toThrow();
  });

  test('fields that AWS adds are let through', () => {
    expect(parseEvent(launchEvent, lifecycle('launch', 'i-1', { New: 1 })).detail.EC2InstanceId).toBe('i-1');
  });
});

describe('on launch', () => {
  test('the first instance becomes the creator, the second waits for the ring', async () => {
    await launch('i-1');
    await launch('i-2');

    expect(await plane.member('i-1')).toMatchObject({ state: 'ASSIGNED', role: 'creator' });
    expect(await plane.member('i-2')).toMatchObject({ state: 'PENDING' });
    expect(plane.bus.types()).toEqual(['Member Assigned']);
  });

  test('an event that comes three times at once gives one place', async () => {
    await plane.putRing();
    await plane.putMember('i-1');

    await Promise.all([launch('i-2'), launch('i-2'), launch('i-2')]);

    const row = await plane.member('i-2');
    expect(row).toMatchObject({ state: 'ASSIGNED', role: 'joiner', ringId: 'ring-0' });
    expect(plane.bus.types()).toEqual(['Member Assigned']);
  });

  test('an instance that EC2 does not know yet is looked for again', async () => {
    plane.instances.unknownFor = 2;

    await launch('i-1');

    expect(await plane.member('i-1')).toMatchObject({ state: 'ASSIGNED' });
  });

  test('a launch event after the termination revives nothing', async () => {
    await terminate('i-1');
    await launch('i-1');

    expect(await plane.member('i-1')).toMatchObject({ state: 'GONE' });
    expect((await plane.meta()).status).toBe('NONE');
  });
});

describe('on terminate', () => {
  test('a member is told to drain, and its action is left to its node', async () => {
    await plane.putRing();
    await plane.putMember('i-1');

    await terminate('i-1');
    await terminate('i-1');

    expect(await plane.member('i-1')).toMatchObject({ state: 'LEAVING', terminateToken: 'token-i-1' });
    expect(plane.group.completed).toEqual([]);
    expect(plane.bus.types()).toEqual(['Member Leaving']);
  });

  test('one that never became a member is closed and completed, also when AWS is not ready for it', async () => {
    await launch('i-1');
    plane.group.notYet = 2;

    await terminate('i-1');

    expect(await plane.member('i-1')).toMatchObject({ state: 'FAILED' });
    expect(plane.group.completed).toEqual([
      { instanceId: 'i-1', lifecycleHookName: 'terminate', result: 'CONTINUE' },
    ]);
  });

  test('a member whose machine is off is lost, not waited for', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    plane.instances.stateOf.set('i-1', 'shutting-down');

    await terminate('i-1');

    expect(await plane.member('i-1')).toMatchObject({ state: 'DEAD' });
    expect(plane.group.completed).toHaveLength(1);
    expect(plane.bus.types()).toEqual(['Member Lost']);
  });

  test('while the stage is being removed nobody drains', async () => {
    await plane.putRing({ status: 'TEARDOWN' });
    await plane.putMember('i-1');

    await terminate('i-1');

    expect(plane.group.completed).toHaveLength(1);
  });

  test('a Spot warning starts the drain and completes nothing', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    const warning = {
      'detail-type': 'EC2 Spot Instance Interruption Warning',
      source: 'aws.ec2',
      id: 'spot-1',
      detail: { 'instance-id': 'i-1', 'instance-action': 'terminate' },
    };

    await onTerminate(plane.dependencies())(parseEvent(terminateEvent, warning));

    expect(await plane.member('i-1')).toMatchObject({ state: 'LEAVING' });
    expect(plane.group.completed).toEqual([]);
  });
});

describe('on alarm', () => {
  async function fullRing(): Promise<void> {
    await plane.putRing();
    await plane.putMember('i-1', { usedPercent: 80 });
    await plane.putMember('i-2', { usedPercent: 10 });
  }

  test('adds one node, once, however often the event comes', async () => {
    await fullRing();

    await Promise.all([fireAlarm(alarm('ALARM')), fireAlarm(alarm('ALARM'))]);
    await fireAlarm(alarm('ALARM'));

    expect(new Set(plane.group.desired)).toEqual(new Set([3]));
    expect(plane.bus.types()).toEqual(['Scale Out Requested']);
    const [event] = plane.bus.events;
    expect(event?.detail).toMatchObject({
      before: { desiredCapacity: 2 },
      after: { desiredCapacity: 3 },
      ringId: 'ring-0',
      epoch: 1,
    });
  });

  test('other alarms and other states change nothing', async () => {
    await fullRing();

    await fireAlarm(alarm('OK'));
    await fireAlarm(alarm('INSUFFICIENT_DATA'));
    await fireAlarm(alarm('ALARM', '2026-01-01T12:00:00.000+0000', 'another'));

    expect(plane.group.desired).toEqual([]);
  });

  test('while somebody joins it says so and waits', async () => {
    await fullRing();
    await plane.putMember('i-3', { state: 'JOINING', lifecycleState: 'Pending:Wait' });

    await fireAlarm(alarm('ALARM'));

    expect(plane.group.desired).toEqual([]);
    expect(plane.bus.types()).toEqual(['Scale Out Skipped']);
    expect(plane.bus.events[0]?.detail.after).toMatchObject({ reason: 'joining' });
  });

  test('at MaxSize it says so once and stays', async () => {
    await fullRing();
    plane.group.view.maxSize = 2;
    plane.isAlarming = true;

    for (let minute = 0; minute < 5; minute++) {
      plane.nowMs += 60_000;
      await reconcileOnce();
    }

    expect(plane.group.desired).toEqual([]);
    expect(plane.bus.types()).toEqual(['Scale Out Skipped']);
  });

  test('as many nodes as the bytes need are asked for at once', async () => {
    await plane.putRing();
    plane.group.view.maxSize = 10;
    await plane.putMember('i-1', { usedPercent: 99 });
    await plane.putMember('i-2', { usedPercent: 97 });
    await plane.putMember('i-3', { usedPercent: 98 });
    plane.group.view.desiredCapacity = 3;

    await fireAlarm(alarm('ALARM'));

    expect(plane.group.desired).toEqual([5]);
  });

  test('a crash between decision and call is finished by the reconciler', async () => {
    await fullRing();
    plane.group.failNext = new Error('throttled');

    await expect(fireAlarm(alarm('ALARM'))).rejects.toThrow('throttled');
    expect(plane.group.desired).toEqual([]);
    plane.nowMs += 60_000;
    await reconcileOnce();

    expect(plane.group.desired).toEqual([3]);
    expect(plane.bus.types()).toEqual(['Scale Out Requested']);
  });

  test('while the alarm lasts, one node per cooldown is added until MaxSize', async () => {
    await fullRing();
    plane.isAlarming = true;

    for (let minute = 0; minute < 30; minute++) {
      await reconcileOnce();
      // Newcomers arrive within the minute, and relieve nobody.
      for (let count = plane.group.view.instances.length; count < plane.group.view.desiredCapacity; count++) {
        await plane.putMember(`i-${count + 1}`, { usedPercent: 10 });
      }
      plane.nowMs += 60_000;
      for (const { instanceId } of plane.group.view.instances)
        plane.instances.stateOf.set(instanceId, 'running');
    }

    expect(plane.group.desired).toEqual([3, 4]);
    expect(plane.bus.types().filter((type) => type === 'Scale Out Requested')).toHaveLength(2);
  });
});

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

  test('gives a joiner up that fell silent, and its instance with it', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    await plane.putMember('i-2', { state: 'JOINING', lifecycleState: 'Pending:Wait' });
    plane.nowMs += plane.timing.heartbeatStaleMs + 1;

    await reconcileOnce();
    await reconcileOnce();

    expect(await plane.member('i-2')).toMatchObject({ state: 'FAILED' });
    expect(plane.group.completed).toContainEqual({
      instanceId: 'i-2',
      lifecycleHookName: 'launch',
      result: 'ABANDON',
    });
  });

  test('completes what is stuck: an ACTIVE launch, a termination without a member', async () => {
    await plane.putRing();
    await plane.putMember('i-1', { lifecycleState: 'Pending:Wait' });
    await plane.putMember('i-2', { state: 'GONE', lifecycleState: 'Terminating:Wait' });
    plane.nowMs += plane.timing.unassignedGraceMs + 1;

    await reconcileOnce();

    expect(plane.group.completed).toEqual([
      { instanceId: 'i-1', lifecycleHookName: 'launch', result: 'CONTINUE' },
      { instanceId: 'i-2', lifecycleHookName: 'terminate', result: 'CONTINUE' },
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
    await plane.store.get(metaKey(plane.stage));

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

describe('on a result of the group', () => {
  test('a machine that is gone closes its record; one that is not ours is ignored', async () => {
    await plane.putRing();
    await plane.putMember('i-1');
    const gone = (id: string) => ({
      'detail-type': 'EC2 Instance State-change Notification',
      source: 'aws.ec2',
      id: 'e-1',
      detail: { 'instance-id': id, state: 'terminated' },
    });

    await onAsgResult(plane.dependencies())(parseEvent(asgResultEvent, gone('i-1')));
    await onAsgResult(plane.dependencies())(parseEvent(asgResultEvent, gone('i-elsewhere')));

    expect(await plane.member('i-1')).toMatchObject({ state: 'DEAD' });
    expect(await plane.member('i-elsewhere')).toBeUndefined();
  });

  test('a launch that failed is told with its reason, once per activity', async () => {
    await plane.putRing();
    const failed = {
      'detail-type': 'EC2 Instance Launch Unsuccessful',
      source: 'aws.autoscaling',
      time: '2026-01-01T12:00:00Z',
      detail: { AutoScalingGroupName: 'g', ActivityId: 'a-1', StatusMessage: 'no capacity', Origin: 'EC2' },
    };

    await onAsgResult(plane.dependencies())(parseEvent(asgResultEvent, failed));
    await onAsgResult(plane.dependencies())(parseEvent(asgResultEvent, failed));

    expect(plane.bus.types()).toEqual(['Scale Out Failed']);
    expect(plane.bus.events[0]?.detail.cause).toContain('no capacity');
  });
});
