import { ACCOUNT_ID, AwsError, type CloudClock, type Emit } from '../service.ts';
import { type AlarmConfiguration, isBreaching } from './alarm.ts';
import { type AlarmState, EXTRA_PERIODS, evaluateAlarm } from './alarm-evaluation.ts';
import { alarmActionPayload, type StateRecord, stateChangeEvent } from './alarm-event.ts';
import { MetricStore, type Sample, statisticOf } from './metric-store.ts';

interface CloudWatchOptions {
  readonly clock: CloudClock;
  readonly emit: Emit;
  readonly region: string;
  /** Runs a Lambda function that is an alarm's action; other kinds of action are refused at creation. */
  readonly invoke: (functionArn: string, payload: string, alarmArn: string) => void;
  /** What `exportState` returned in an earlier life. */
  readonly earlier?: AlarmStates | undefined;
}

/** State by name of the alarm; plain JSON. */
export type AlarmStates = Readonly<Record<string, StateRecord>>;

export interface Alarm {
  readonly configuration: AlarmConfiguration;
  readonly arn: string;
  readonly state: StateRecord;
}

interface RunningAlarm {
  readonly configuration: AlarmConfiguration;
  readonly arn: string;
  /** Before this it is not evaluated: while the cloud was off nobody could have sent the samples that are missing. */
  readonly evaluatedFromMs: number;
  state: StateRecord;
  timer: { cancel(): void };
}

/** Share of a period that evaluation waits after its end: samples on their way still count. */
const GRACE = 0.1;

/** CloudWatch: metrics and the alarms on them. Periods are cloud time, timestamps real. */
export class CloudWatch {
  readonly metrics = new MetricStore();
  readonly #options: CloudWatchOptions;
  readonly #alarms = new Map<string, RunningAlarm>();
  readonly #listeners = new Set<() => void>();

  constructor(options: CloudWatchOptions) {
    this.#options = options;
  }

  /** Calls back after every change of an alarm's state; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a second start needs: an alarm that is in ALARM then tells nobody again, it only goes on being so. */
  exportState(): AlarmStates {
    return Object.fromEntries([...this.#alarms].map(([name, { state }]) => [name, state]));
  }

  /** Creates the alarm in INSUFFICIENT_DATA, or gives an existing one a new configuration. */
  putAlarm(configuration: AlarmConfiguration): { readonly arn: string } {
    const { clock, region } = this.#options;
    const { name } = configuration;
    for (const action of allActions(configuration)) {
      if (!action.startsWith('arn:aws:lambda:'))
        throw new Error(`alarm ${name}: the local cloud cannot do ${action}`);
    }
    const arn = `arn:aws:cloudwatch:${region}:${ACCOUNT_ID}:alarm:${name}`;
    const known = this.#alarms.get(name);
    known?.timer.cancel();
    const state = known?.state ??
      this.#options.earlier?.[name] ?? {
        value: 'INSUFFICIENT_DATA',
        reason: 'Unchecked: Initial alarm creation',
        reasonData: undefined,
        atMs: clock.now(),
      };
    const { periodSeconds, evaluationPeriods } = configuration;
    const isRestored = known === undefined && this.#options.earlier?.[name] !== undefined;
    const graceMs = isRestored ? (evaluationPeriods * periodSeconds * 1000) / clock.timeScale : 0;
    const evaluatedFromMs = known?.evaluatedFromMs ?? clock.now() + graceMs;
    const alarm: RunningAlarm = { configuration, arn, evaluatedFromMs, state, timer: { cancel() {} } };
    this.#alarms.set(name, alarm);
    this.#scheduleNext(alarm);
    return { arn };
  }

  deleteAlarm(name: string): void {
    this.#alarms.get(name)?.timer.cancel();
    this.#alarms.delete(name);
  }

  alarms(): readonly Alarm[] {
    return [...this.#alarms.values()];
  }

  /** Forces a state until the next evaluation. @throws AwsError `ResourceNotFound` */
  setState(name: string, value: AlarmState, reason: string, reasonData: string | undefined): void {
    const alarm = this.#alarms.get(name);
    if (alarm === undefined) throw new AwsError('ResourceNotFound', `Unknown alarm ${name}`, 404);
    this.#change(alarm, { value, reason, reasonData, atMs: this.#options.clock.now() });
  }

  /** Just after the end of the next period; periods are aligned to the epoch, as on AWS. */
  #scheduleNext(alarm: RunningAlarm): void {
    const { clock } = this.#options;
    const periodMs = this.#periodMs(alarm);
    const nextEndMs = (Math.floor(clock.now() / periodMs) + 1) * periodMs;
    const waitMs = nextEndMs + GRACE * periodMs - clock.now();
    alarm.timer = clock.after(waitMs * clock.timeScale, () => {
      this.#evaluate(alarm, nextEndMs);
      this.#scheduleNext(alarm);
    });
  }

  #periodMs({ configuration }: RunningAlarm): number {
    return (configuration.periodSeconds * 1000) / this.#options.clock.timeScale;
  }

  #evaluate(alarm: RunningAlarm, endMs: number): void {
    if (endMs < alarm.evaluatedFromMs) return;
    const { configuration } = alarm;
    const { evaluationPeriods, datapointsToAlarm, treatMissingData, metric, statistic } = configuration;
    const periodMs = this.#periodMs(alarm);
    const length = evaluationPeriods + EXTRA_PERIODS;
    const range = Array.from({ length }, (_, i) => {
      const fromMs = endMs - (length - i) * periodMs;
      return statisticOf(this.metrics.samples(metric, fromMs, fromMs + periodMs), statistic);
    });
    const rule = {
      evaluationPeriods,
      datapointsToAlarm,
      treatMissingData,
      isBreaching: (value: number) => isBreaching(configuration, value),
    };
    const value = evaluateAlarm(rule, range, alarm.state.value);
    if (value === alarm.state.value) return;
    const recentDatapoints = range.filter((point) => point !== undefined).slice(-evaluationPeriods);
    const atMs = this.#options.clock.now();
    this.#change(alarm, {
      value,
      atMs,
      reason: reasonOf(configuration, recentDatapoints, value),
      reasonData: JSON.stringify({
        version: '1.0',
        queryDate: new Date(atMs).toISOString().replace('Z', '+0000'),
        startDate: new Date(endMs - evaluationPeriods * periodMs).toISOString().replace('Z', '+0000'),
        statistic,
        period: configuration.periodSeconds,
        recentDatapoints,
        threshold: configuration.threshold,
      }),
    });
  }

  #change(alarm: RunningAlarm, state: StateRecord): void {
    const previous = alarm.state;
    alarm.state = state;
    for (const listener of this.#listeners) listener();
    if (previous.value === state.value) return;
    const { configuration, arn } = alarm;
    this.#options.emit(stateChangeEvent(configuration, arn, { state, previous }));
    if (!configuration.actionsEnabled) return;
    const payload = JSON.stringify(alarmActionPayload(configuration, arn, { state, previous }));
    for (const action of actionsFor(configuration, state.value)) this.#options.invoke(action, payload, arn);
  }

  /** Takes samples; a value without a time counts as of now. */
  put(namespace: string, name: string, dimensions: Readonly<Record<string, string>>, sample: Sample): void {
    this.metrics.put({ namespace, name, dimensions }, sample);
  }
}

function actionsFor(configuration: AlarmConfiguration, value: AlarmState): readonly string[] {
  switch (value) {
    case 'OK':
      return configuration.okActions;
    case 'ALARM':
      return configuration.alarmActions;
    case 'INSUFFICIENT_DATA':
      return configuration.insufficientDataActions;
  }
}

function allActions({
  okActions,
  alarmActions,
  insufficientDataActions,
}: AlarmConfiguration): readonly string[] {
  return [...okActions, ...alarmActions, ...insufficientDataActions];
}

function reasonOf(alarm: AlarmConfiguration, datapoints: readonly number[], value: AlarmState): string {
  const missing = alarm.evaluationPeriods - datapoints.length;
  if (datapoints.length === 0 && value !== 'INSUFFICIENT_DATA') {
    const treatment = alarm.treatMissingData === 'breaching' ? 'Breaching' : 'NonBreaching';
    return `Threshold Crossed: no datapoints were received for ${missing} periods and ${missing} missing datapoints were treated as [${treatment}].`;
  }
  if (value === 'INSUFFICIENT_DATA')
    return `Insufficient Data: ${alarm.evaluationPeriods} datapoints were unknown.`;
  const crossed = datapoints.filter((point) => isBreaching(alarm, point)).length;
  const verb = value === 'ALARM' ? 'were' : 'were not';
  return (
    `Threshold Crossed: ${crossed} out of the last ${datapoints.length} datapoints [${datapoints.join(', ')}] ` +
    `${verb} breaching the threshold (${alarm.threshold}) (minimum ${alarm.datapointsToAlarm} datapoints).`
  );
}
