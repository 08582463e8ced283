import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { ensurePackaged } from '../../clients/up/packaging.ts';
import type { Metric } from '../../local/cloud-watch/metric-store.ts';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { TEMPLATE } from '../../local/package-deployment.ts';
import { loadTemplate } from '../../local/template/template.ts';
import { startCloud } from '../../local/up.ts';
import { PROJECT } from '../end-to-end/test-cloud.ts';
import { until } from '../end-to-end/until.ts';

/**
 * Alarms and graphs of the packaged template, beside what the reconciler and the agent of a node really publish: a
 * name or a dimension that differs is an alarm that never rings, and nothing else would tell.
 */
const TIME_SCALE = 60;
/** The machine may be busy with other things. */
const PATIENCE_MS = 90_000;
const MINUTE_MS = 60_000 / TIME_SCALE;
/** What AWS publishes by itself, with the dimension it does so by. */
const OF_AWS: Readonly<Record<string, readonly [dimension: string, names: readonly string[]]>> = {
  'AWS/AutoScaling': [
    'AutoScalingGroupName',
    [
      'GroupDesiredCapacity',
      'GroupInServiceInstances',
      'GroupMaxSize',
      'GroupPendingInstances',
      'GroupTerminatingInstances',
    ],
  ],
  'AWS/Lambda': ['FunctionName', ['Errors']],
  'AWS/SQS': ['QueueName', ['ApproximateNumberOfMessagesVisible']],
};

let cloud: LocalCloud;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS });
beforeAll(async () => {
  const signal = AbortSignal.timeout(110_000);
  await ensurePackaged({ projectDirectory: PROJECT, signal, onStart: () => undefined });
  cloud = await startCloud({
    ...{ desired: 1, min: 1, max: 1, volumeSizeBytes: 64 * 2 ** 20, threshold: 70, timeScale: TIME_SCALE },
    ...{ directory: undefined, port: 0, privatePrefix: '127.21.0', publicPrefix: '127.21.1' },
  });
});
afterAll(() => cloud?.stop());

const published = (): readonly Metric[] => cloud.services.cloudWatch.metrics.metrics();
const isOfAws = ({ namespace }: Metric): boolean => namespace.startsWith('AWS/');

async function untilPublished(metric: Metric): Promise<void> {
  await until(
    `${JSON.stringify(metric)} is published`,
    () => published().some((candidate) => isDeepStrictEqual(candidate, metric)),
    PATIENCE_MS,
  );
}

const widgets = z.object({
  widgets: z.array(
    z.object({ properties: z.object({ metrics: z.array(z.array(z.unknown())).default([]) }) }),
  ),
});

/** The rows of every graph, with what `.` and `...` stand for. */
async function graphRows(): Promise<readonly (readonly unknown[])[]> {
  const template = await loadTemplate(join(PROJECT, '.serverless', TEMPLATE));
  const body = z
    .object({ 'Fn::Sub': z.string() })
    .parse(template.Resources['Dashboard']?.Properties['DashboardBody'])['Fn::Sub'];
  const { widgets: found } = widgets.parse(JSON.parse(body.replace(/\$\{[^}]+\}/g, '1')));
  return found.flatMap(({ properties: { metrics } }) => {
    let before: readonly unknown[] = [];
    return metrics.map((row) => {
      const rest = row.filter((part) => typeof part === 'string');
      const words =
        rest[0] === '...'
          ? [...before.slice(0, -1), rest[1]]
          : rest.map((part, i) => (part === '.' ? before[i] : part));
      before = words;
      return words.length === 0 ? row : words;
    });
  });
}

test('every alarm looks at a metric that somebody publishes, with exactly its dimensions', async () => {
  const watched = cloud.services.cloudWatch.alarms().map(({ configuration }) => configuration.metric);
  const { lambda, sqs } = cloud.services;
  const names = [
    ...lambda.functions().map(({ configuration }) => configuration.functionName),
    ...sqs.queues().map(({ name }) => name),
  ];

  expect(watched).toHaveLength(8);
  for (const metric of watched.filter((metric) => !isOfAws(metric))) await untilPublished(metric);
  for (const { namespace, name, dimensions } of watched.filter(isOfAws)) {
    const [dimension = '', known = []] = OF_AWS[namespace] ?? [];
    expect(known).toContain(name);
    expect(Object.keys(dimensions)).toEqual([dimension]);
    expect(names).toContain(dimensions[dimension]);
  }
});

test('the drift that the alarm waits for is published every minute', async () => {
  const { alarms, metrics } = {
    alarms: cloud.services.cloudWatch.alarms(),
    metrics: cloud.services.cloudWatch.metrics,
  };
  const drift = alarms.find(({ configuration }) => configuration.name === 'chordfs-dev-member-drift');
  if (drift === undefined) throw new Error('there is no alarm on drift');

  await until(
    'three minutes have their sample',
    () => {
      const samples = metrics.samples(drift.configuration.metric, 0, Number.POSITIVE_INFINITY);
      return new Set(samples.map(({ atMs }) => Math.floor(atMs / MINUTE_MS))).size >= 3;
    },
    PATIENCE_MS,
  );
  expect(drift.configuration).toMatchObject({ periodSeconds: 60, treatMissingData: 'breaching' });
});

test('every graph shows metrics that somebody publishes', async () => {
  const rows = await graphRows();
  expect(rows.length).toBeGreaterThanOrEqual(14);
  for (const row of rows) {
    const [namespace, name, dimension, value] = row.map(String);
    if (namespace === undefined || name === undefined) continue;
    if (namespace.startsWith('AWS/')) {
      expect(OF_AWS[namespace]).toEqual([dimension, expect.arrayContaining([name])]);
    } else await untilPublished({ namespace, name, dimensions: { [String(dimension)]: String(value) } });
  }
  const [search = ''] = rows.flatMap(([first]) =>
    typeof first === 'object' ? [z.object({ expression: z.string() }).parse(first).expression] : [],
  );
  const [, searched = '', metricName = ''] = /\{([^}]+)\} MetricName="(\w+)"/.exec(search) ?? [];
  const [namespace, ...dimensions] = searched.split(',');
  await until(
    'the volumes are found by their dimensions',
    () =>
      published().some(
        (metric) =>
          metric.namespace === namespace &&
          metric.name === metricName &&
          Object.keys(metric.dimensions).sort().join() === dimensions.sort().join(),
      ),
    PATIENCE_MS,
  );
});
