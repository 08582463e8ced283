import { z } from 'zod';
import { type Timing, timing } from '../domain/timing.ts';

/** What serverless.yml gives every function. A missing or wrong value ends the cold start with its name. */
const schema = z.object({
  CHORDFS_STAGE: z.string().min(1),
  CHORDFS_TABLE: z.string().min(1),
  CHORDFS_BUS: z.string().min(1),
  CHORDFS_ASG: z.string().min(1),
  CHORDFS_LAUNCH_HOOK: z.string().min(1),
  CHORDFS_TERMINATE_HOOK: z.string().min(1),
  CHORDFS_TIME_SCALE: z.coerce.number().min(1),
  CHORDFS_DISK_ALARM: z.string().min(1),
  CHORDFS_DISK_THRESHOLD_PERCENT: z.coerce.number().min(1).max(100),
  CHORDFS_SCALE_IN: z.enum(['true', 'false']),
  CHORDFS_METRIC_NAMESPACE: z.string().min(1),
});

export interface FunctionEnvironment {
  readonly stage: string;
  readonly tableName: string;
  readonly busName: string;
  readonly autoScalingGroupName: string;
  readonly launchHook: string;
  readonly terminateHook: string;
  readonly diskAlarmName: string;
  readonly thresholdPercent: number;
  readonly isScaleInOn: boolean;
  readonly metricNamespace: string;
  readonly timing: Timing;
}

export function readEnvironment(
  variables: Readonly<Record<string, string | undefined>>,
): FunctionEnvironment {
  const parsed = schema.parse(variables);
  return {
    stage: parsed.CHORDFS_STAGE,
    tableName: parsed.CHORDFS_TABLE,
    busName: parsed.CHORDFS_BUS,
    autoScalingGroupName: parsed.CHORDFS_ASG,
    launchHook: parsed.CHORDFS_LAUNCH_HOOK,
    terminateHook: parsed.CHORDFS_TERMINATE_HOOK,
    diskAlarmName: parsed.CHORDFS_DISK_ALARM,
    thresholdPercent: parsed.CHORDFS_DISK_THRESHOLD_PERCENT,
    isScaleInOn: parsed.CHORDFS_SCALE_IN === 'true',
    metricNamespace: parsed.CHORDFS_METRIC_NAMESPACE,
    timing: timing(parsed.CHORDFS_TIME_SCALE),
  };
}
