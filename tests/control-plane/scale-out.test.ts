import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { alarmEvent } from '../../functions/events.ts';
import { parseEvent } from '../../functions/lambda-handler.ts';
import { onAlarm } from '../../functions/on-alarm.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { alarm } from './aws-events.ts';
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

const fireAlarm = (event: unknown) =>
  onAlarm({ ...plane.dependencies(), diskAlarmName: 'disk' })(parseEvent(alarmEvent, event));
const reconcileOnce = () => reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });

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
