import { describe, expect, test } from 'vitest';
import { DeliveryError, type Target } from '../../local/event-bridge/delivery.ts';
import { EventBridge } from '../../local/event-bridge/event-bridge.ts';
import { eventBridgeService } from '../../local/event-bridge/operations.ts';
import { Faults } from '../../local/faults.ts';
import { manualClock } from './clock.ts';

const TARGET: Target = {
  id: 'target',
  arn: 'arn:target',
  input: undefined,
  deadLetterArn: 'arn:dead',
  maximumRetryAttempts: 3,
  maximumEventAgeMs: 3_600_000,
};

/** A bus with one rule for source `a`, and a target that refuses as long as `refusal` is set. */
function setUp(target: Partial<Target> = {}) {
  const clock = manualClock(10);
  const faults = new Faults();
  const delivered: unknown[] = [];
  const buried: Readonly<Record<string, string>>[] = [];
  const state: { refusal: DeliveryError | undefined } = { refusal: undefined };
  const bridge = new EventBridge({
    clock,
    faults,
    region: 'us-east-1',
    send(_arn, payload) {
      if (state.refusal !== undefined) throw state.refusal;
      delivered.push(JSON.parse(payload));
    },
    bury: (_arn, _body, attributes) => void buried.push(attributes),
  });
  const rule = {
    name: 'rule',
    busName: 'default',
    description: undefined,
    eventPattern: JSON.stringify({ source: ['a'] }),
    scheduleExpression: undefined,
    isEnabled: true,
    targets: [{ ...TARGET, ...target }],
  };
  bridge.putRule(rule);
  const emit = (n: number, source = 'a') =>
    bridge.emit({ source, 'detail-type': 'Test', resources: [], detail: { n } });
  const order = () => delivered.map((event) => (event as { detail: { n: number } }).detail.n);
  return { clock, faults, bridge, rule, delivered, buried, state, emit, order };
}

describe('a rule', () => {
  test('gives matching events to its target, in the shape EventBridge gives them', async () => {
    const { clock, emit, delivered } = setUp();

    emit(1);
    emit(2, 'b');
    expect(delivered).toEqual([]);
    await clock.advance(0);

    expect(delivered).toEqual([
      expect.objectContaining({
        version: '0',
        account: '000000000000',
        region: 'us-east-1',
        source: 'a',
        'detail-type': 'Test',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        detail: { n: 1 },
      }),
    ]);
  });

  test('fires on its schedule, in cloud time', async () => {
    const { clock, bridge, rule, delivered } = setUp();
    bridge.putRule({ ...rule, name: 'tick', eventPattern: undefined, scheduleExpression: 'rate(1 minute)' });

    await clock.advance(60_000 * 3);

    expect(delivered).toHaveLength(3);
    expect(delivered[0]).toMatchObject({
      source: 'aws.events',
      'detail-type': 'Scheduled Event',
      detail: {},
    });
  });

  test('that is deleted or disabled gives nothing', async () => {
    const { clock, bridge, rule, emit, delivered } = setUp();
    bridge.putRule({ ...rule, isEnabled: false });
    emit(1);
    bridge.deleteRule('default', 'rule');
    emit(2);
    await clock.advance(1_000);
    expect(delivered).toEqual([]);
  });
});

describe('a target that refuses', () => {
  test('is tried again until it takes the event', async () => {
    const { clock, emit, state, order, buried } = setUp();
    state.refusal = new DeliveryError('INTERNAL_ERROR', 'not now', true);
    emit(1);
    await clock.advance(1_500);
    state.refusal = undefined;
    await clock.advance(60_000);
    expect(order()).toEqual([1]);
    expect(buried).toEqual([]);
  });

  test('for good leaves a dead letter that says why', async () => {
    const { clock, emit, state, buried } = setUp();
    state.refusal = new DeliveryError('INTERNAL_ERROR', 'never', true);
    emit(1);
    await clock.advance(3_600_000);
    expect(buried).toEqual([
      expect.objectContaining({
        TARGET_ARN: 'arn:target',
        ERROR_CODE: 'INTERNAL_ERROR',
        ERROR_MESSAGE: 'never',
        EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts',
        RETRY_ATTEMPTS: '3',
      }),
    ]);
  });

  test('is given up when the event is too old', async () => {
    const { clock, emit, state, buried } = setUp({ maximumRetryAttempts: 185, maximumEventAgeMs: 60_000 });
    state.refusal = new DeliveryError('INTERNAL_ERROR', 'never', true);
    emit(1);
    await clock.advance(120_000);
    expect(buried).toEqual([
      expect.objectContaining({ EXHAUSTED_RETRY_CONDITION: 'MaximumEventAgeInSeconds' }),
    ]);
  });

  test('without permission is not tried again', async () => {
    const { clock, emit, state, buried } = setUp();
    state.refusal = new DeliveryError('NO_PERMISSIONS', 'no', false);
    emit(1);
    await clock.advance(0);
    expect(buried).toEqual([expect.objectContaining({ ERROR_CODE: 'NO_PERMISSIONS', RETRY_ATTEMPTS: '0' })]);
  });
});

describe('faults', () => {
  test('drop, duplicate and delay what they are told to', async () => {
    const { clock, faults, emit, order } = setUp();
    const is = (n: number) => (delivery: { event: { detail?: unknown } }) =>
      (delivery.event.detail as { n: number }).n === n;
    const dropped = faults.dropEvents(is(1));
    faults.duplicateEvents(is(2), 3);
    faults.delayEvents(is(3), 500, 1);

    for (const n of [1, 2, 3, 4]) emit(n);
    await clock.advance(1_000);
    expect(order()).toEqual([2, 2, 2, 4]);
    await clock.advance(5_000);

    expect(order()).toEqual([2, 2, 2, 4, 3]);
    expect(dropped.hits()).toBe(1);
  });

  test('bring events out of order', async () => {
    const { clock, faults, emit, order } = setUp();
    const held = faults.holdEvents(() => true);
    for (const n of [1, 2, 3]) emit(n);
    await clock.advance(60_000);
    expect(order()).toEqual([]);

    held.release((kept) => [...kept].reverse());
    await clock.advance(0);
    emit(4);
    await clock.advance(0);

    expect(order()).toEqual([3, 2, 1, 4]);
  });
});

describe('PutEvents', () => {
  function putEvents(entries: object[]) {
    const { bridge } = setUp();
    bridge.putBus('own');
    const operation = eventBridgeService(bridge).operations['PutEvents'];
    const answer = operation?.({ Entries: entries } as never, { accessKeyId: '', roleArn: undefined });
    return answer as { FailedEntryCount: number; Entries: { EventId?: string; ErrorCode?: string }[] };
  }
  const good = { Source: 'chordfs.node', DetailType: 'Test', Detail: '{}' };

  test('refuses bad entries one by one and takes the others', () => {
    const answer = putEvents([
      good,
      { ...good, Detail: '[' },
      { ...good, Source: 'aws.ec2' },
      { ...good, EventBusName: 'absent' },
      { ...good, EventBusName: 'arn:aws:events:us-east-1:000000000000:event-bus/own' },
      { ...good, DetailType: undefined },
    ]);
    expect(answer.FailedEntryCount).toBe(4);
    expect(answer.Entries.map(({ ErrorCode }) => ErrorCode)).toEqual([
      undefined,
      'MalformedDetail',
      'NotAuthorizedForSourceException',
      'ResourceNotFoundException',
      undefined,
      'InvalidArgument',
    ]);
  });

  test('refuses more than ten entries at once', () => {
    expect(() => putEvents(Array.from({ length: 11 }, () => good))).toThrow(/validation error/);
  });
});
