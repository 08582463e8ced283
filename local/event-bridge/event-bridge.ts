import { randomUUID } from 'node:crypto';
import type { Faults } from '../faults.ts';
import { ACCOUNT_ID, AwsError, type CloudClock, type EmittedEvent } from '../service.ts';
import { Deliveries, type DeliveryOptions, type Target } from './delivery.ts';
import { type BusEvent, eventTime } from './event.ts';
import { compilePattern, type EventMatcher } from './pattern.ts';
import { parseSchedule, type Schedule } from './schedule.ts';

interface EventBridgeOptions {
  readonly clock: CloudClock;
  readonly faults: Faults;
  readonly region: string;
  readonly send: DeliveryOptions['send'];
  readonly bury: DeliveryOptions['bury'];
}

interface RuleInput {
  readonly name: string;
  readonly busName: string;
  readonly description: string | undefined;
  readonly eventPattern: string | undefined;
  readonly scheduleExpression: string | undefined;
  readonly isEnabled: boolean;
  readonly targets: readonly Target[];
}

export interface Rule extends RuleInput {
  readonly arn: string;
}

interface ActiveRule extends Rule {
  readonly matches: EventMatcher | undefined;
  cancel(): void;
}

interface Bus {
  readonly rules: Map<string, ActiveRule>;
  /** The last events, oldest first. */
  readonly history: BusEvent[];
  readonly listeners: Set<(event: BusEvent) => void>;
}

/** Events a bus remembers: who starts to listen late still sees how a start went. */
const MAX_HISTORY = 2_000;
/** Real ms that a schedule waits at least, however fast the cloud's clock runs. */
const SHORTEST_SCHEDULE_MS = 1_000;

/** EventBridge: buses, rules with patterns or schedules, and delivery to their targets. */
export class EventBridge {
  readonly #options: EventBridgeOptions;
  readonly #deliveries: Deliveries;
  readonly #buses = new Map<string, Bus>();

  constructor(options: EventBridgeOptions) {
    this.#options = options;
    this.#deliveries = new Deliveries(options);
    this.putBus('default');
  }

  /** Safe to repeat. */
  putBus(name: string): { readonly arn: string } {
    if (!this.#buses.has(name))
      this.#buses.set(name, { rules: new Map(), history: [], listeners: new Set() });
    return { arn: `arn:aws:events:${this.#options.region}:${ACCOUNT_ID}:event-bus/${name}` };
  }

  deleteBus(name: string): void {
    for (const rule of this.#buses.get(name)?.rules.values() ?? []) rule.cancel();
    this.#buses.delete(name);
  }

  /** Creates or replaces a rule with all its targets. @throws AwsError for a bad pattern or schedule. */
  putRule(input: RuleInput): { readonly arn: string } {
    if (input.eventPattern === undefined && input.scheduleExpression === undefined) {
      throw new AwsError(
        'ValidationException',
        'Parameter(s) EventPattern or ScheduleExpression must be specified.',
      );
    }
    if (input.scheduleExpression !== undefined && input.busName !== 'default') {
      throw new AwsError(
        'ValidationException',
        'ScheduleExpression is supported only on the default event bus.',
      );
    }
    const { rules } = this.#bus(input.busName);
    const path = input.busName === 'default' ? input.name : `${input.busName}/${input.name}`;
    const arn = `arn:aws:events:${this.#options.region}:${ACCOUNT_ID}:rule/${path}`;
    const matches = input.eventPattern === undefined ? undefined : compilePattern(input.eventPattern);
    const schedule =
      input.scheduleExpression === undefined ? undefined : parseSchedule(input.scheduleExpression);
    rules.get(input.name)?.cancel();
    const running: { timer?: { cancel(): void } } = {};
    const rule: ActiveRule = { ...input, arn, matches, cancel: () => running.timer?.cancel() };
    rules.set(input.name, rule);
    if (schedule !== undefined && input.isEnabled) this.#scheduleNext(rule, schedule, running);
    return { arn };
  }

  deleteRule(busName: string, name: string): void {
    const rules = this.#buses.get(busName)?.rules;
    rules?.get(name)?.cancel();
    rules?.delete(name);
  }

  /** The rules of a bus, by name. @throws AwsError `ResourceNotFoundException` */
  rules(busName: string): readonly Rule[] {
    return [...this.#bus(busName).rules.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  busNames(): readonly string[] {
    return [...this.#buses.keys()];
  }

  /** Puts an event on its bus (`default` unless it says so). Returns before any target has seen it. */
  emit(emitted: EmittedEvent, time = new Date(this.#options.clock.now())): BusEvent {
    const bus = this.#bus(emitted.bus ?? 'default');
    const event: BusEvent = {
      version: '0',
      id: randomUUID(),
      'detail-type': emitted['detail-type'],
      source: emitted.source,
      account: ACCOUNT_ID,
      time: eventTime(time),
      region: this.#options.region,
      resources: emitted.resources,
      // A round trip through JSON, as on the wire: later changes of the emitter's objects stay its own.
      detail: JSON.parse(JSON.stringify(emitted.detail)),
    };
    bus.history.push(event);
    if (bus.history.length > MAX_HISTORY) bus.history.shift();
    for (const listener of bus.listeners) listener(event);
    for (const rule of bus.rules.values()) {
      if (rule.isEnabled && rule.matches?.(event) === true) this.#deliver(rule, event);
    }
    return event;
  }

  /** Sees every event of the bus, earlier ones first, whatever the rules say; returns how to stop. */
  onEvent(busName: string, listener: (event: BusEvent) => void): () => void {
    const { listeners, history } = this.#bus(busName);
    for (const event of history) listener(event);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  #deliver(rule: Rule, event: BusEvent): void {
    for (const target of rule.targets) {
      this.#deliveries.start({ event, ruleArn: rule.arn, ruleName: rule.name, target });
    }
  }

  #scheduleNext(rule: ActiveRule, schedule: Schedule, running: { timer?: { cancel(): void } }): void {
    const { clock, region } = this.#options;
    const waitMs = Math.max(schedule(clock.now()), SHORTEST_SCHEDULE_MS * clock.timeScale);
    if (!Number.isFinite(waitMs)) return;
    running.timer = clock.after(waitMs, () => {
      const event: BusEvent = {
        version: '0',
        id: randomUUID(),
        'detail-type': 'Scheduled Event',
        source: 'aws.events',
        account: ACCOUNT_ID,
        time: eventTime(new Date(clock.now())),
        region,
        resources: [rule.arn],
        detail: {},
      };
      this.#deliver(rule, event);
      this.#scheduleNext(rule, schedule, running);
    });
  }

  #bus(nameOrArn: string): Bus {
    const name = nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
    const bus = this.#buses.get(name);
    if (bus === undefined) {
      throw new AwsError('ResourceNotFoundException', `Event bus ${name} does not exist.`);
    }
    return bus;
  }
}
