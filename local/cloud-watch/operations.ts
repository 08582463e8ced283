import { z } from 'zod';
import { AwsError, type CloudClock, type Service } from '../service.ts';
import { parseAlarm } from './alarm.ts';
import type { Alarm, CloudWatch } from './cloud-watch.ts';
import { type Metric, type Sample, type Statistic, statisticOf } from './metric-store.ts';

const dimensionsSchema = z
  .array(z.looseObject({ Name: z.string(), Value: z.string() }))
  .default([])
  .transform((list) => Object.fromEntries(list.map(({ Name, Value }) => [Name, Value])));
const date = z.coerce.date();

const putMetricDataSchema = z.looseObject({
  Namespace: z.string().min(1),
  MetricData: z.array(
    z.looseObject({
      MetricName: z.string().min(1),
      Dimensions: dimensionsSchema,
      Timestamp: date.optional(),
      Value: z.number().optional(),
      Values: z.array(z.number()).optional(),
      Counts: z.array(z.number()).optional(),
      StatisticValues: z
        .looseObject({ SampleCount: z.number(), Sum: z.number(), Minimum: z.number(), Maximum: z.number() })
        .optional(),
    }),
  ),
});
type Datum = z.infer<typeof putMetricDataSchema>['MetricData'][number];

const statistic = z.enum(['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount']);
const statisticsSchema = z.looseObject({
  Namespace: z.string(),
  MetricName: z.string(),
  Dimensions: dimensionsSchema,
  StartTime: date,
  EndTime: date,
  Period: z.coerce.number().int().min(1),
  Statistics: z.array(statistic).min(1),
});
const metricDataSchema = z.looseObject({
  StartTime: date,
  EndTime: date,
  MetricDataQueries: z.array(
    z.looseObject({
      Id: z.string(),
      MetricStat: z.looseObject({
        Metric: z.looseObject({
          Namespace: z.string(),
          MetricName: z.string(),
          Dimensions: dimensionsSchema,
        }),
        Period: z.coerce.number().int().min(1),
        Stat: statistic,
      }),
    }),
  ),
});
const describeSchema = z.looseObject({
  AlarmNames: z.array(z.string()).optional(),
  AlarmNamePrefix: z.string().default(''),
  StateValue: z.string().optional(),
});
const setStateSchema = z.looseObject({
  AlarmName: z.string(),
  StateValue: z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
  StateReason: z.string(),
  StateReasonData: z.string().optional(),
});
const listSchema = z.looseObject({ Namespace: z.string().optional(), MetricName: z.string().optional() });

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AwsError('InvalidParameterValue', z.prettifyError(parsed.error));
}

function samplesOf(datum: Datum, now: number): Sample[] {
  const atMs = datum.Timestamp?.getTime() ?? now;
  const one = (value: number, count: number): Sample => ({
    atMs,
    sum: value * count,
    count,
    minimum: value,
    maximum: value,
  });
  if (datum.StatisticValues !== undefined) {
    const { SampleCount: count, Sum: sum, Minimum: minimum, Maximum: maximum } = datum.StatisticValues;
    return [{ atMs, sum, count, minimum, maximum }];
  }
  if (datum.Values !== undefined) return datum.Values.map((value, i) => one(value, datum.Counts?.[i] ?? 1));
  return datum.Value === undefined ? [] : [one(datum.Value, 1)];
}

interface Range {
  readonly startMs: number;
  readonly endMs: number;
  readonly periodMs: number;
}

/** Most datapoints one answer holds, as on AWS. */
const MAX_DATAPOINTS = 1_440;

function points(cloudWatch: CloudWatch, metric: Metric, { startMs, endMs, periodMs }: Range) {
  const firstMs = Math.floor(startMs / periodMs) * periodMs;
  if ((endMs - firstMs) / periodMs > MAX_DATAPOINTS) {
    throw new AwsError(
      'InvalidParameterCombination',
      `You have requested more than ${MAX_DATAPOINTS} datapoints.`,
    );
  }
  const found: { atMs: number; samples: readonly Sample[] }[] = [];
  for (let atMs = firstMs; atMs < endMs; atMs += periodMs) {
    const samples = cloudWatch.metrics.samples(metric, atMs, atMs + periodMs);
    if (samples.length > 0) found.push({ atMs, samples });
  }
  return found;
}

function alarmView({ configuration: alarm, arn, state }: Alarm) {
  return {
    AlarmName: alarm.name,
    AlarmArn: arn,
    AlarmDescription: alarm.description,
    ActionsEnabled: alarm.actionsEnabled,
    OKActions: [...alarm.okActions],
    AlarmActions: [...alarm.alarmActions],
    InsufficientDataActions: [...alarm.insufficientDataActions],
    StateValue: state.value,
    StateReason: state.reason,
    StateReasonData: state.reasonData,
    StateUpdatedTimestamp: new Date(state.atMs),
    StateTransitionedTimestamp: new Date(state.atMs),
    MetricName: alarm.metric.name,
    Namespace: alarm.metric.namespace,
    Statistic: alarm.statistic,
    Dimensions: Object.entries(alarm.metric.dimensions).map(([Name, Value]) => ({ Name, Value })),
    Period: alarm.periodSeconds,
    EvaluationPeriods: alarm.evaluationPeriods,
    DatapointsToAlarm: alarm.datapointsToAlarm,
    Threshold: alarm.threshold,
    ComparisonOperator: alarm.comparison,
    TreatMissingData: alarm.treatMissingData,
  };
}

function metricOf(view: {
  Namespace: string;
  MetricName: string;
  Dimensions: Record<string, string>;
}): Metric {
  return { namespace: view.Namespace, name: view.MetricName, dimensions: view.Dimensions };
}

function getMetricStatistics(cloudWatch: CloudWatch, input: unknown) {
  const query = parse(statisticsSchema, input);
  const range = {
    startMs: query.StartTime.getTime(),
    endMs: query.EndTime.getTime(),
    periodMs: query.Period * 1000,
  };
  const Datapoints = points(cloudWatch, metricOf(query), range).map(({ atMs, samples }) => ({
    Timestamp: new Date(atMs),
    ...Object.fromEntries(query.Statistics.map((name: Statistic) => [name, statisticOf(samples, name)])),
  }));
  return { Label: query.MetricName, Datapoints };
}

function getMetricData(cloudWatch: CloudWatch, input: unknown) {
  const { StartTime, EndTime, MetricDataQueries } = parse(metricDataSchema, input);
  const results = MetricDataQueries.map(({ Id, MetricStat: { Metric: metric, Period, Stat } }) => {
    const range = { startMs: StartTime.getTime(), endMs: EndTime.getTime(), periodMs: Period * 1000 };
    // Newest first, as GetMetricData answers by default.
    const found = points(cloudWatch, metricOf(metric), range).reverse();
    return {
      Id,
      Label: metric.MetricName,
      StatusCode: 'Complete',
      Timestamps: found.map(({ atMs }) => new Date(atMs)),
      Values: found.map(({ samples }) => statisticOf(samples, Stat)),
    };
  });
  return { MetricDataResults: results };
}

/** Metrics and alarms over the API; the names are the SDK's. */
export function cloudWatchService(cloudWatch: CloudWatch, clock: CloudClock): Service {
  return {
    signingName: 'monitoring',
    operations: {
      PutMetricData(input: unknown) {
        const { Namespace, MetricData } = parse(putMetricDataSchema, input);
        for (const datum of MetricData) {
          for (const sample of samplesOf(datum, clock.now())) {
            cloudWatch.put(Namespace, datum.MetricName, datum.Dimensions, sample);
          }
        }
        return {};
      },
      GetMetricStatistics: (input: unknown) => getMetricStatistics(cloudWatch, input),
      GetMetricData: (input: unknown) => getMetricData(cloudWatch, input),
      ListMetrics(input: unknown) {
        const { Namespace, MetricName } = parse(listSchema, input);
        const Metrics = cloudWatch.metrics
          .metrics()
          .filter(({ namespace }) => Namespace === undefined || namespace === Namespace)
          .filter(({ name }) => MetricName === undefined || name === MetricName)
          .map(({ namespace, name, dimensions }) => ({
            Namespace: namespace,
            MetricName: name,
            Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
          }));
        return { Metrics };
      },
      PutMetricAlarm(input: unknown) {
        cloudWatch.putAlarm(parseAlarm(input as Record<string, unknown>));
        return {};
      },
      DescribeAlarms(input: unknown) {
        const { AlarmNames, AlarmNamePrefix, StateValue } = parse(describeSchema, input);
        const MetricAlarms = cloudWatch
          .alarms()
          .map(alarmView)
          .filter(({ AlarmName }) => AlarmName.startsWith(AlarmNamePrefix))
          .filter(({ AlarmName }) => AlarmNames === undefined || AlarmNames.includes(AlarmName))
          .filter((alarm) => StateValue === undefined || alarm.StateValue === StateValue);
        return { MetricAlarms, CompositeAlarms: [] };
      },
      SetAlarmState(input: unknown) {
        const { AlarmName, StateValue, StateReason, StateReasonData } = parse(setStateSchema, input);
        cloudWatch.setState(AlarmName, StateValue, StateReason, StateReasonData);
        return {};
      },
    },
  };
}
