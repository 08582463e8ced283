import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { MetricData } from '../compute.ts';
import type { AgentConfiguration } from './agent-configuration.ts';

const BLOCK_BYTES = 512;

/**
 * Bytes allocated below a folder, as `du` counts them: a file with several names once. Files that vanish meanwhile
 * count as nothing.
 */
export async function allocatedBytes(directory: string, counted = new Set<number>()): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  let total = 0;
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) total += await allocatedBytes(path, counted);
    const stat = await lstat(path).catch(() => undefined);
    if (stat !== undefined && stat.nlink > 1 && !entry.isDirectory()) {
      if (counted.has(stat.ino)) continue;
      counted.add(stat.ino);
    }
    total += (stat?.blocks ?? 0) * BLOCK_BYTES;
  }
  return total;
}

/** What the agent knows of the machine it runs on. */
export interface AgentFacts {
  readonly instanceId: string;
  readonly instanceType: string;
  readonly imageId: string;
  /** From the instance's tags; without it the dimension is missing, as on EC2 when DescribeTags is denied. */
  readonly autoScalingGroupName: string | undefined;
}

/** Undefined for a placeholder that does not resolve: the agent then leaves the dimension out. */
function resolved(value: string, facts: AgentFacts): string | undefined {
  const placeholder = /^\$\{aws:(\w+)\}$/.exec(value)?.[1];
  switch (placeholder) {
    case undefined:
      return value;
    case 'InstanceId':
      return facts.instanceId;
    case 'InstanceType':
      return facts.instanceType;
    case 'ImageId':
      return facts.imageId;
    case 'AutoScalingGroupName':
      return facts.autoScalingGroupName;
    default:
      return undefined;
  }
}

type Dimensions = readonly { readonly Name: string; readonly Value: string }[];

/**
 * One measurement as the agent publishes it: once with all its dimensions and once per aggregation set, with the
 * dimensions of that set alone.
 */
export function diskMetric(
  configuration: AgentConfiguration,
  facts: AgentFacts,
  sample: { readonly path: string; readonly usedPercent: number; readonly time: Date },
): MetricData {
  const appended = Object.entries(configuration.appendDimensions).flatMap(([Name, value]) => {
    const Value = resolved(value, facts);
    return Value === undefined ? [] : [{ Name, Value }];
  });
  const device = configuration.dropDevice ? [] : [{ Name: 'device', Value: 'nvme1n1' }];
  const all: Dimensions = [
    ...appended,
    { Name: 'path', Value: sample.path },
    ...device,
    { Name: 'fstype', Value: 'xfs' },
  ];
  const rollUps = configuration.aggregationDimensions
    .map((names) => all.filter(({ Name }) => names.includes(Name)))
    .filter((dimensions, index) => dimensions.length === configuration.aggregationDimensions[index]?.length);
  const sets = configuration.dropOriginal ? rollUps : [all, ...rollUps];
  return {
    Namespace: configuration.namespace,
    MetricData: sets.map((Dimensions) => ({
      MetricName: configuration.metricName,
      Dimensions,
      Timestamp: sample.time,
      Value: sample.usedPercent,
      Unit: 'Percent',
    })),
  };
}
