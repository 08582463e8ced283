import { z } from 'zod';

/** The part of the CloudWatch agent's configuration that concerns disks. */
export interface AgentConfiguration {
  readonly namespace: string;
  /** Seconds between two measurements. */
  readonly intervalSeconds: number;
  /** Mount points to measure. */
  readonly resources: readonly string[];
  readonly metricName: string;
  readonly dropDevice: boolean;
  /** `${aws:InstanceId}` and its like still unresolved. */
  readonly appendDimensions: Readonly<Record<string, string>>;
  /** Sets of dimension names to roll up to; `[]` is the set without dimensions. */
  readonly aggregationDimensions: readonly (readonly string[])[];
  /** Whether only the roll-ups are kept. */
  readonly dropOriginal: boolean;
}

const measurement = z.union([
  z.string(),
  z.looseObject({ name: z.string(), rename: z.string().optional(), unit: z.string().optional() }),
]);

const schema = z.looseObject({
  agent: z.looseObject({ metrics_collection_interval: z.number().positive().default(60) }).prefault({}),
  metrics: z.looseObject({
    namespace: z.string().default('CWAgent'),
    append_dimensions: z.record(z.string(), z.string()).default({}),
    aggregation_dimensions: z.array(z.array(z.string())).default([]),
    metrics_collected: z.looseObject({
      disk: z
        .looseObject({
          measurement: z.array(measurement).default([]),
          resources: z.array(z.string()).default([]),
          drop_device: z.boolean().default(false),
          append_dimensions: z.record(z.string(), z.string()).default({}),
          metrics_collection_interval: z.number().positive().optional(),
          drop_original_metrics: z.array(z.string()).default([]),
        })
        .optional(),
    }),
  }),
});

/** The agent prefixes the names of its disk metrics. */
const METRIC_NAMES = ['used_percent', 'disk_used_percent'];

/**
 * Undefined when the agent measures no disk usage.
 * @throws Error when the agent itself would refuse the configuration.
 */
export function parseAgentConfiguration(text: string): AgentConfiguration | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Error('the CloudWatch agent configuration in the user data is not valid JSON', { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    throw new Error(`the CloudWatch agent would refuse its configuration: ${z.prettifyError(parsed.error)}`);
  }
  const { agent, metrics } = parsed.data;
  const { disk } = metrics.metrics_collected;
  const names = disk?.measurement.map((entry) => (typeof entry === 'string' ? { name: entry } : entry));
  const used = names?.find(({ name }) => METRIC_NAMES.includes(name));
  if (disk === undefined || used === undefined) return undefined;
  return {
    namespace: metrics.namespace,
    intervalSeconds: disk.metrics_collection_interval ?? agent.metrics_collection_interval,
    resources: disk.resources,
    metricName: ('rename' in used ? used.rename : undefined) ?? 'disk_used_percent',
    dropDevice: disk.drop_device,
    appendDimensions: { ...metrics.append_dimensions, ...disk.append_dimensions },
    aggregationDimensions: metrics.aggregation_dimensions,
    dropOriginal: disk.drop_original_metrics.some((name) => METRIC_NAMES.includes(name)),
  };
}
