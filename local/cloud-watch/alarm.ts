import { z } from 'zod';
import type { MissingDataTreatment } from './alarm-evaluation.ts';
import type { Metric, Statistic } from './metric-store.ts';

const COMPARISONS = {
  GreaterThanThreshold: (value: number, threshold: number) => value > threshold,
  GreaterThanOrEqualToThreshold: (value: number, threshold: number) => value >= threshold,
  LessThanThreshold: (value: number, threshold: number) => value < threshold,
  LessThanOrEqualToThreshold: (value: number, threshold: number) => value <= threshold,
} as const;
export type Comparison = keyof typeof COMPARISONS;

/** A metric alarm on one metric; metric math, composite and anomaly alarms are refused when the template has them. */
export interface AlarmConfiguration {
  readonly name: string;
  readonly description: string | undefined;
  readonly metric: Metric;
  readonly statistic: Statistic;
  readonly periodSeconds: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly threshold: number;
  readonly comparison: Comparison;
  readonly treatMissingData: MissingDataTreatment;
  readonly actionsEnabled: boolean;
  readonly okActions: readonly string[];
  readonly alarmActions: readonly string[];
  readonly insufficientDataActions: readonly string[];
}

const actions = z.array(z.string()).default([]);
/** Shared by the template's AWS::CloudWatch::Alarm and the API's PutMetricAlarm, which name everything alike. */
const alarmSchema = z.looseObject({
  AlarmName: z.string().min(1).max(255),
  AlarmDescription: z.string().optional(),
  Namespace: z.string(),
  MetricName: z.string(),
  Dimensions: z.array(z.object({ Name: z.string(), Value: z.string() })).default([]),
  Statistic: z.enum(['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount']),
  Period: z.coerce.number().int().min(10),
  EvaluationPeriods: z.coerce.number().int().min(1),
  DatapointsToAlarm: z.coerce.number().int().min(1).optional(),
  Threshold: z.coerce.number(),
  ComparisonOperator: z.enum(Object.keys(COMPARISONS) as [Comparison, ...Comparison[]]),
  TreatMissingData: z.enum(['missing', 'ignore', 'breaching', 'notBreaching']).default('missing'),
  ActionsEnabled: z.union([z.boolean(), z.stringbool()]).default(true),
  OKActions: actions,
  AlarmActions: actions,
  InsufficientDataActions: actions,
});

/** @throws Error that says which property is wrong. */
export function parseAlarm(properties: Readonly<Record<string, unknown>>): AlarmConfiguration {
  const parsed = alarmSchema.safeParse(properties);
  if (!parsed.success)
    throw new Error(`not an alarm the local cloud can run: ${z.prettifyError(parsed.error)}`);
  const alarm = parsed.data;
  const datapointsToAlarm = alarm.DatapointsToAlarm ?? alarm.EvaluationPeriods;
  if (datapointsToAlarm > alarm.EvaluationPeriods)
    throw new Error('DatapointsToAlarm exceeds EvaluationPeriods');
  return {
    name: alarm.AlarmName,
    description: alarm.AlarmDescription,
    metric: {
      namespace: alarm.Namespace,
      name: alarm.MetricName,
      dimensions: Object.fromEntries(alarm.Dimensions.map(({ Name, Value }) => [Name, Value])),
    },
    statistic: alarm.Statistic,
    periodSeconds: alarm.Period,
    evaluationPeriods: alarm.EvaluationPeriods,
    datapointsToAlarm,
    threshold: alarm.Threshold,
    comparison: alarm.ComparisonOperator,
    treatMissingData: alarm.TreatMissingData,
    actionsEnabled: alarm.ActionsEnabled,
    okActions: alarm.OKActions,
    alarmActions: alarm.AlarmActions,
    insufficientDataActions: alarm.InsufficientDataActions,
  };
}

export function isBreaching({ comparison, threshold }: AlarmConfiguration, value: number): boolean {
  return COMPARISONS[comparison](value, threshold);
}
