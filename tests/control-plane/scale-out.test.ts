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
  /** Four members that have been there for long, the first with most of the bytes: one more node is enough. */
  async function fullRing(): Promise<void> {
    await plane.putRing();
    plane.group.view.desiredCapacity = 4;
    plane.group.view.maxSize = 6;
    for (const [instanceId, usedPercent, ownPercent] of [
      ['i-1', 72, 52],
      ['i-2', 72, 10],
      ['i-3', 72, 10],
      ['i-4', 30, 10],
    ] as const) {
      await plane.putMember(instanceId, {
        usedPercent,
        ownPercent,
        set: { stateMs: plane.nowMs - 3_600_000 },
      });
    }
    await plane.reportRing();
  }

  test('never takes back what a person asked for between the decision and its telling', async () => {
    await fullRing();
    const deciding = plane.dependencies();
    const read = deciding.group.describe.bind(deciding.group);
    let looks = 0;
    deciding.group.describe = async () => {
      const view = await read();
      looks += 1;
      if (looks === 1) plane.group.view.desiredCapacity = 6;
      return view;
    };

    await onAlarm({ ...deciding, diskAlarmName: 'disk' })(parseEvent(alarmEvent, alarm('ALARM')));

    expect(plane.group.desired).toEqual([]);
    expect(plane.group.view.desiredCapacity).toBe(6);
    expect((await plane.meta()).scalePending).toBe(false);
  });

  test('adds one node, once, however often the event comes', async () => {
    await fullRing();

    await Promise.all([fireAlarm(alarm('ALARM')), fireAlarm(alarm('ALARM'))]);
    await fireAlarm(alarm('ALARM'));

    expect(new Set(plane.group.desired)).toEqual(new Set([5]));
    expect(plane.bus.types()).toEqual(['Scale Out Requested']);
    const [event] = plane.bus.events;
    expect(event?.detail).toMatchObject({
      before: { desiredCapacity: 4 },
      after: { desiredCapacity: 5 },
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
    await plane.putMember('i-5', { state: 'JOINING', lifecycleState: 'Pending:Wait' });

    await fireAlarm(alarm('ALARM'));

    expect(plane.group.desired).toEqual([]);
    expect(plane.bus.types()).toEqual(['Scale Out Skipped']);
    expect(plane.bus.events[0]?.detail.after).toMatchObject({ reason: 'joining' });
  });

  test('until every member has reported the ring with the newcomer in it, nobody is added', async () => {
    await fullRing();
    plane.group.view.desiredCapacity = 5;
    await plane.putMember('i-5', { usedPercent: 1 });

    await fireAlarm(alarm('ALARM'));

    expect(plane.group.desired).toEqual([]);
    expect(plane.bus.events[0]?.detail.after).toMatchObject({ reason: 'cooldown' });
    expect(plane.bus.events[0]?.detail.cause).toContain('has not reported since the ring last changed');
  });

  test('at MaxSize it says so once and stays', async () => {
    await fullRing();
    plane.group.view.maxSize = 4;
    plane.isAlarming = true;

    for (let minute = 0; minute < 5; minute++) {
      plane.nowMs += 60_000;
      await plane.reportRing();
      await reconcileOnce();
    }

    expect(plane.group.desired).toEqual([]);
    expect(plane.bus.types()).toEqual(['Scale Out Skipped']);
  });

  test('where only the second newcomer helps, two are asked for at once, and the log says why', async () => {
    await plane.putRing();
    plane.group.view.maxSize = 10;
    for (const instanceId of ['i-1', 'i-2']) {
      const set = { stateMs: plane.nowMs - 3_600_000 };
      await plane.putMember(instanceId, { usedPercent: 72, ownPercent: 36, set });
    }
    await plane.reportRing();

    await fireAlarm(alarm('ALARM'));

    expect(plane.group.desired).toEqual([4]);
    expect(plane.bus.events[0]?.detail.cause).toContain('1 more would relieve nobody');
    expect(plane.bus.events[0]?.detail.after).toMatchObject({ desiredCapacity: 4, fullestPercent: 54 });
  });

  test('a crash between decision and call is finished by the reconciler', async () => {
    await fullRing();
    plane.group.failNext = new Error('throttled');

    await expect(fireAlarm(alarm('ALARM'))).rejects.toThrow('throttled');
    expect(plane.group.desired).toEqual([]);
    plane.nowMs += 60_000;
    await reconcileOnce();

    expect(plane.group.desired).toEqual([5]);
    expect(plane.bus.types().filter((type) => type === 'Scale Out Requested')).toHaveLength(1);
  });
});
