import { describe, expect, test } from 'vitest';
import { nodesNeeded } from '../../bench/growth/nodes-needed.ts';
import { asPlacementMember } from '../../domain/serving-ring.ts';
import { alarmEvent } from '../../functions/events.ts';
import { InvalidEventError, parseEvent } from '../../functions/lambda-handler.ts';
import { onAlarm } from '../../functions/on-alarm.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { alarm } from './aws-events.ts';
import { GrowingPlane } from './growing-plane.ts';

/** The cases of docs/cases.md on growth, by their numbers: real handlers, simulated machines. */

const GIB = 2 ** 30;
const MANY_MINUTES_MS = 120_000;

async function ring(members: number, maxSize: number): Promise<GrowingPlane> {
  const group = new GrowingPlane({ maxSize, capacityBytes: GIB });
  await group.start(members);
  return group;
}

const fire = (group: GrowingPlane, event: unknown) =>
  onAlarm({ ...group.plane.dependencies(), diskAlarmName: 'disk' })(parseEvent(alarmEvent, event));
const asked = (group: GrowingPlane) => [...new Set(group.plane.group.desired)];

/** Primary bytes that bring every member of a ring of `count` to the given share of its volume. */
const bytesFor = (count: number, share: number) => (share * GIB * count) / Math.min(3, count);

describe('37: an alarm that goes from OK to ALARM', () => {
  test('adds nodes where the fullest member is, and it has less afterwards', {
    timeout: MANY_MINUTES_MS,
  }, async () => {
    const group = await ring(4, 20);
    group.upload(bytesFor(4, 0.72));
    await group.pass();
    const before = await group.active();
    const fullest = [...before].sort((a, b) => (b.usage?.usedBytes ?? 0) - (a.usage?.usedBytes ?? 0))[0];

    for (let minute = 0; minute < 12; minute++) await group.pass();

    const after = await group.active();
    expect(after.length).toBeGreaterThan(4);
    const relieved = after.find(({ instanceId }) => instanceId === fullest?.instanceId);
    expect(relieved?.usage?.usedBytes).toBeLessThan(fullest?.usage?.usedBytes ?? 0);
    expect(group.plane.isAlarming).toBe(false);
  });
});

test('38: an alarm event that comes three times at once adds no more than one', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(4, 20);
  const once = await ring(4, 20);
  group.alarmCopies = 3;
  for (const each of [group, once]) {
    each.upload(bytesFor(4, 0.75));
    for (let minute = 0; minute < 4; minute++) await each.pass();
  }

  expect(asked(group)).toEqual(asked(once));
  expect(group.story().filter((line) => line.startsWith('Scale Out Requested'))).toHaveLength(1);
});

describe('39: an alarm that lasts for thirty minutes', () => {
  test('is answered until it ends, by no more nodes than the bytes need plus one, and the log says why at every step', {
    timeout: MANY_MINUTES_MS,
  }, async () => {
    const group = await ring(2, 40);
    // Ten minutes of uploads, faster than one node for each alarm could follow.
    for (let minute = 0; minute < 30; minute++) {
      if (minute < 10) group.upload(0.3 * GIB);
      await group.pass();
    }

    expect(group.plane.isAlarming).toBe(false);
    const members = (await group.active()).length;
    const placed = (await group.active()).map(asPlacementMember);
    expect(members).toBeLessThanOrEqual(nodesNeeded(placed, 0.7 / 1.03) + 1);
    const story = group.story();
    for (const line of story)
      expect(line).toMatch(
        /^Scale Out (Requested|Skipped): .*(%|is (PENDING|ASSIGNED|JOINING)|in service|has not reported)/,
      );
    // Two members that keep everything are never made three.
    expect(story[0]).toContain('1 more would relieve nobody');
  });

  test('is answered until MaxSize, which is said once and then rarely', {
    timeout: MANY_MINUTES_MS,
  }, async () => {
    const group = await ring(2, 5);
    group.upload(bytesFor(2, 0.95) * 1.8);

    for (let minute = 0; minute < 30; minute++) await group.pass();

    expect((await group.active()).length).toBe(5);
    expect(Math.max(...asked(group))).toBe(5);
    const story = group.story();
    expect(story.filter((line) => line.includes('MaxSize is 5'))).toHaveLength(1);
    expect(story.at(-1)).toMatch(/Skipped: max: .* % of its volume, but MaxSize is 5/);
  });
});

test('40: an alarm while somebody joins waits, says so, and is honoured when the join is over', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(4, 20);
  group.plane.group.view.desiredCapacity = 5;
  await group.pass();
  group.upload(bytesFor(4, 1.4));

  await fire(group, alarm('ALARM', new Date(group.plane.nowMs).toISOString()));
  expect(asked(group)).toEqual([]);
  for (let minute = 0; minute < 8; minute++) await group.pass();

  expect(group.story()[0]).toMatch(/Skipped: joining: .*i-4 is (ASSIGNED|JOINING)/);
  expect(asked(group)[0]).toBeGreaterThan(5);
});

test('41: an alarm that flaps adds no node that the bytes do not need', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(4, 20);
  group.upload(bytesFor(4, 0.75));
  await group.pass();

  for (let flap = 0; flap < 10; flap++) {
    await fire(group, alarm('ALARM', new Date(group.plane.nowMs + flap).toISOString()));
    await fire(group, alarm('OK', new Date(group.plane.nowMs + flap).toISOString()));
  }
  for (let minute = 0; minute < 10; minute++) {
    await fire(group, alarm('ALARM', new Date(group.plane.nowMs + minute).toISOString()));
    await group.pass();
  }

  expect(asked(group)).toHaveLength(1);
});

test('42: at MaxSize nothing is asked for, and the log says which bytes are waiting', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(3, 3);
  group.upload(bytesFor(3, 0.8));

  for (let minute = 0; minute < 10; minute++) await group.pass();

  expect(asked(group)).toEqual([]);
  expect(group.story()).toHaveLength(1);
  expect(group.story()[0]).toMatch(/Skipped: max: .*stores 8\d(\.\d)? % of its volume, but MaxSize is 3/);
});

test('43: launches that fail for want of capacity are told, retried, and never lead to more', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(4, 20);
  group.upload(bytesFor(4, 0.75));
  group.failLaunches = 3;

  for (let minute = 0; minute < 14; minute++) await group.pass();

  const failed = group.story().filter((line) => line.startsWith('Scale Out Failed'));
  expect(failed).toHaveLength(3);
  expect(failed[0]).toContain('sufficient t4g.micro capacity');
  expect(asked(group)).toHaveLength(1);
  expect((await group.active()).length).toBe(asked(group)[0]);
});

describe('44: events that are not the disk alarm going off', () => {
  const composite = { ...alarm('ALARM', undefined, 'chordfs-composite') };
  const metricMath = alarm('ALARM', undefined, 'chordfs-math');

  test.each([
    ['insufficient data', alarm('INSUFFICIENT_DATA')],
    ['back to OK', alarm('OK')],
    [
      'a composite alarm, which has no metrics',
      { ...composite, detail: { ...composite.detail, configuration: { alarmRule: 'ALARM(a)' } } },
    ],
    [
      'an alarm on metric math',
      {
        ...metricMath,
        detail: {
          ...metricMath.detail,
          configuration: { metrics: [{ id: 'e1', expression: 'm1*2', returnData: true }] },
        },
      },
    ],
    ["another stage's alarm", alarm('ALARM', undefined, 'chordfs-other-disk')],
  ])('%s changes nothing', async (_name, event) => {
    const group = await ring(1, 20);
    group.upload(bytesFor(1, 0.9));

    await fire(group, event);

    expect(asked(group)).toEqual([]);
    expect(group.story()).toEqual([]);
  });

  test('an event of another shape is refused with the field that is wrong', () => {
    const event = alarm('ALARM');
    const wrong = {
      ...event,
      detail: { ...event.detail, state: { value: 'RINGING', timestamp: 'yesterday' } },
    };

    expect(() => parseEvent(alarmEvent, wrong)).toThrow(InvalidEventError);
    expect(() => parseEvent(alarmEvent, wrong)).toThrow(/value[\s\S]*timestamp|timestamp[\s\S]*value/);
  });
});

test('45: the alarm and two reconcilers decide at once, and the group is told one number', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(4, 20);
  group.upload(bytesFor(4, 0.8));
  await group.pass();
  group.plane.isAlarming = true;
  const minute = () => reconcile(group.plane.dependencies())({ 'detail-type': 'Scheduled Event' });

  await Promise.all([
    fire(group, alarm('ALARM', new Date(group.plane.nowMs).toISOString())),
    minute(),
    minute(),
  ]);
  await minute();

  expect(asked(group)).toHaveLength(1);
  expect(group.story().filter((line) => line.startsWith('Scale Out Requested'))).toHaveLength(1);
});

test('46: one member at 95 % and the others at 10 % is an alarm: the fullest counts, not the mean', {
  timeout: MANY_MINUTES_MS,
}, async () => {
  const group = await ring(5, 20);
  group.upload(0.2 * GIB);
  await group.pass();
  const [first] = await group.active();
  if (first === undefined) throw new Error('no ring');
  // All of it in one arc, so that three members keep it and two do not.
  for (let file = 0; file < 400; file++) group.files.add(first.position, (0.75 * GIB) / 400);

  for (let minute = 0; minute < 4; minute++) await group.pass();

  expect(asked(group)[0]).toBeGreaterThan(5);
});
