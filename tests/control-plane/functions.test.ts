import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { asgResultEvent, launchEvent, terminateEvent } from '../../functions/events.ts';
import { InvalidEventError, parseEvent } from '../../functions/lambda-handler.ts';
import { onAsgResult } from '../../functions/on-asg-result.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { onTerminate } from '../../functions/on-terminate.ts';
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

const launch = (id: string) =>
  onLaunch(plane.dependencies())(parseEvent(launchEvent, lifecycle('launch', id)));
const terminate = (id: string) =>
  onTerminate(plane.dependencies())(parseEvent(terminateEvent, lifecycle('terminate', id)));

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
      { instanceId: 'i-1', transition: 'terminate', lifecycleHookName: 'terminate', result: 'CONTINUE' },
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
