import { randomUUID } from 'node:crypto';
import type { EmittedEvent } from '../service.ts';
import type { AlarmConfiguration } from './alarm.ts';
import type { AlarmState } from './alarm-evaluation.ts';

export interface StateRecord {
  readonly value: AlarmState;
  readonly reason: string;
  /** JSON text, as CloudWatch hands it out; absent until the first evaluation. */
  readonly reasonData?: string | undefined;
  readonly atMs: number;
}

/** CloudWatch writes the zone as +0000 here, unlike everywhere else. */
function timestamp(atMs: number): string {
  return new Date(atMs).toISOString().replace('Z', '+0000');
}

function stateView({ value, reason, reasonData, atMs }: StateRecord) {
  return { value, reason, ...(reasonData === undefined ? {} : { reasonData }), timestamp: timestamp(atMs) };
}

function configurationView(alarm: AlarmConfiguration) {
  const { namespace, name, dimensions } = alarm.metric;
  return {
    ...(alarm.description === undefined ? {} : { description: alarm.description }),
    metrics: [
      {
        id: randomUUID(),
        metricStat: {
          metric: { namespace, name, dimensions },
          period: alarm.periodSeconds,
          stat: alarm.statistic,
        },
        returnData: true,
      },
    ],
  };
}

/** The event of one transition, exactly as CloudWatch puts it on the default bus. */
export function stateChangeEvent(
  alarm: AlarmConfiguration,
  arn: string,
  change: { readonly state: StateRecord; readonly previous: StateRecord },
): EmittedEvent {
  return {
    source: 'aws.cloudwatch',
    'detail-type': 'CloudWatch Alarm State Change',
    resources: [arn],
    detail: {
      alarmName: alarm.name,
      configuration: configurationView(alarm),
      previousState: stateView(change.previous),
      state: stateView(change.state),
    },
  };
}

/** What a Lambda function gets when it is the alarm's own action. */
export function alarmActionPayload(
  alarm: AlarmConfiguration,
  arn: string,
  change: { readonly state: StateRecord; readonly previous: StateRecord },
) {
  const [, , , region, accountId] = arn.split(':');
  return {
    source: 'aws.cloudwatch',
    alarmArn: arn,
    accountId,
    time: timestamp(change.state.atMs),
    region,
    alarmData: {
      alarmName: alarm.name,
      state: stateView(change.state),
      previousState: stateView(change.previous),
      configuration: configurationView(alarm),
    },
  };
}
