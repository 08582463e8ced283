import { describe, expect, test } from 'vitest';
import { parseAlarm } from '../../local/cloud-watch/alarm.ts';
import { type AlarmStates, CloudWatch } from '../../local/cloud-watch/cloud-watch.ts';
import type { EmittedEvent } from '../../local/service.ts';
import { manualClock } from './clock.ts';

const FUNCTION_ARN = 'arn:aws:lambda:us-east-1:000000000000:function:f';
const ALARM = {
  AlarmName: 'disk',
  AlarmDescription: 'a volume is nearly full',
  Namespace: 'CWAgent',
  MetricName: 'disk_used_percent',
  Dimensions: [{ Name: 'AutoScalingGroupName', Value: 'g' }],
  Statistic: 'Maximum',
  Period: '60',
  EvaluationPeriods: 3,
  DatapointsToAlarm: 2,
  Threshold: '70',
  ComparisonOperator: 'GreaterThanOrEqualToThreshold',
  TreatMissingData: 'notBreaching',
};

function setUp(properties: object = {}, earlier?: AlarmStates) {
  // Aligned to a whole period, so that each minute of the test is one period.
  const clock = manualClock(20, Math.floor(1_800_000_000_000 / 3_000) * 3_000);
  const events: EmittedEvent[] = [];
  const invoked: unknown[] = [];
  const cloudWatch = new CloudWatch({
    clock,
    region: 'us-east-1',
    earlier,
    emit: (event) => void events.push(event),
    invoke: (arn, payload) => void invoked.push([arn, JSON.parse(payload)]),
  });
  cloudWatch.putAlarm(parseAlarm({ ...ALARM, ...properties }));
  const minute = async (...values: number[]): Promise<string | undefined> => {
    await clock.advance(30_000);
    for (const value of values) {
      const sample = { atMs: clock.now(), sum: value, count: 1, minimum: value, maximum: value };
      cloudWatch.put('CWAgent', 'disk_used_percent', { AutoScalingGroupName: 'g' }, sample);
    }
    // Past the end of the period and the grace after it.
    await clock.advance(30_000 + 10_000);
    const state = cloudWatch.alarms()[0]?.state.value;
    await clock.advance(-10_000);
    return state;
  };
  return { clock, events, invoked, cloudWatch, minute };
}

describe('an alarm after a restart of the cloud', () => {
  test('is in the state it was in, tells nobody again, and goes on from there', async () => {
    const first = setUp();
    await first.minute(95);
    expect(await first.minute(95)).toBe('ALARM');
    const kept = JSON.parse(JSON.stringify(first.cloudWatch.exportState())) as AlarmStates;

    const { minute, events } = setUp({}, kept);

    // Nobody reports at first: no reason to think that the disks are empty.
    expect(await minute()).toBe('ALARM');
    expect(await minute(95)).toBe('ALARM');
    expect(events).toEqual([]);
    for (let i = 0; i < 5; i++) await minute(10);
    expect(await minute(10)).toBe('OK');
    expect(events).toHaveLength(1);
  });
});

describe('the disk alarm', () => {
  test('fires when one node is full in 2 of 3 periods, however empty the others are', async () => {
    const { events, minute } = setUp();

    expect(await minute(10, 20, 10)).toBe('OK');
    expect(await minute(10, 95, 10)).toBe('OK');
    expect(await minute(10, 95, 10)).toBe('ALARM');

    expect(events.map(({ detail }) => (detail['state'] as { value: string }).value)).toEqual(['OK', 'ALARM']);
  });

  test('says so once per transition, in the shape CloudWatch gives it', async () => {
    const { events, minute } = setUp();
    for (let i = 0; i < 5; i++) await minute(95);

    expect(events).toHaveLength(2);
    expect(events[0]?.detail['previousState']).not.toHaveProperty('reasonData');
    expect(events[1]).toEqual({
      source: 'aws.cloudwatch',
      'detail-type': 'CloudWatch Alarm State Change',
      resources: ['arn:aws:cloudwatch:us-east-1:000000000000:alarm:disk'],
      detail: {
        alarmName: 'disk',
        configuration: {
          description: 'a volume is nearly full',
          metrics: [
            {
              id: expect.any(String),
              metricStat: {
                metric: {
                  namespace: 'CWAgent',
                  name: 'disk_used_percent',
                  dimensions: { AutoScalingGroupName: 'g' },
                },
                period: 60,
                stat: 'Maximum',
              },
              returnData: true,
            },
          ],
        },
        previousState: {
          value: 'OK',
          reason: expect.any(String),
          reasonData: expect.any(String),
          timestamp: expect.stringMatching(/\+0000$/),
        },
        state: {
          value: 'ALARM',
          reason: expect.stringMatching(/^Threshold Crossed: 2 out of the last/),
          reasonData: expect.stringMatching(/^\{"version":"1.0"/),
          timestamp: expect.stringMatching(/^\d{4}-.*\+0000$/),
        },
      },
    });
  });

  test('goes back to OK when the node is relieved', async () => {
    const { minute } = setUp();
    await minute(95);
    await minute(95);
    expect(await minute(40)).toBe('ALARM');
    expect(await minute(40)).toBe('OK');
  });

  test('is not fed by a metric with other dimensions', async () => {
    const { clock, cloudWatch, minute } = setUp({ TreatMissingData: 'missing' });
    const sample = { atMs: clock.now(), sum: 99, count: 1, minimum: 99, maximum: 99 };
    cloudWatch.put('CWAgent', 'disk_used_percent', { AutoScalingGroupName: 'g', InstanceId: 'i-1' }, sample);
    expect(await minute()).toBe('INSUFFICIENT_DATA');
  });

  test('invokes the functions that are its actions', async () => {
    const { invoked, minute } = setUp({ AlarmActions: [FUNCTION_ARN] });
    await minute(95);
    await minute(95);
    expect(invoked).toEqual([
      [FUNCTION_ARN, expect.objectContaining({ alarmData: expect.objectContaining({ alarmName: 'disk' }) })],
    ]);
  });

  test.each([
    [{ Statistic: 'p99' }, /Statistic/],
    [{ Metrics: [], MetricName: undefined }, /MetricName/],
    [{ DatapointsToAlarm: 4 }, /DatapointsToAlarm exceeds/],
  ])('that the local cloud cannot evaluate is refused: %o', (properties, message) => {
    expect(() => parseAlarm({ ...ALARM, ...properties })).toThrow(message);
  });

  test('with an action that cannot be done is refused', () => {
    expect(() => setUp({ AlarmActions: ['arn:aws:sns:us-east-1:0:topic'] })).toThrow(/cannot do arn:aws:sns/);
  });
});
