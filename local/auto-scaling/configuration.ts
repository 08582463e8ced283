import { z } from 'zod';
import { AwsError } from '../service.ts';
import {
  type GroupConfiguration,
  type GroupTag,
  LAUNCHING,
  type LaunchTemplateReference,
  type LifecycleHook,
  TERMINATING,
} from './group-state.ts';

/** `Version` defaults to `$Default`, as in AWS's API. */
const launchTemplate = z.looseObject({
  LaunchTemplateId: z.string().optional(),
  LaunchTemplateName: z.string().optional(),
  Version: z.coerce.string().optional(),
});

const hook = z.looseObject({
  LifecycleHookName: z.string(),
  LifecycleTransition: z.enum([LAUNCHING, TERMINATING]),
  HeartbeatTimeout: z.coerce.number().int().min(30).max(7200).default(3600),
  DefaultResult: z.enum(['CONTINUE', 'ABANDON']).default('ABANDON'),
  NotificationMetadata: z.string().optional(),
});

const boolean = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
const size = z.coerce.number().int().min(0);
/** The API wants one text with commas, CloudFormation a list. */
const subnets = z.union([z.array(z.string()), z.string().transform((text) => text.split(','))]);

/**
 * What `CreateAutoScalingGroup`, `UpdateAutoScalingGroup` and the CloudFormation resource have in common, names as
 * in the API. Numbers may be texts, as templates have them.
 */
const groupInput = z.looseObject({
  AutoScalingGroupName: z.string().min(1).optional(),
  MinSize: size.optional(),
  MaxSize: size.optional(),
  DesiredCapacity: size.optional(),
  LaunchTemplate: launchTemplate.optional(),
  AvailabilityZones: z.array(z.string()).optional(),
  VPCZoneIdentifier: subnets.optional(),
  Cooldown: size.optional(),
  DefaultCooldown: size.optional(),
  HealthCheckType: z.string().optional(),
  HealthCheckGracePeriod: size.optional(),
  DefaultInstanceWarmup: z.coerce.number().int().min(-1).optional(),
  NewInstancesProtectedFromScaleIn: boolean.optional(),
  TerminationPolicies: z.array(z.string()).optional(),
  CapacityRebalance: boolean.optional(),
  LifecycleHookSpecificationList: z.array(hook).optional(),
  InstanceLifecyclePolicy: z
    .looseObject({
      RetentionTriggers: z
        .looseObject({ TerminateHookAbandon: z.enum(['retain', 'terminate']).optional() })
        .optional(),
    })
    .optional(),
  Tags: z
    .array(
      z.looseObject({
        Key: z.string(),
        Value: z.string().default(''),
        PropagateAtLaunch: boolean.default(false),
      }),
    )
    .optional(),
});
export type GroupInput = z.infer<typeof groupInput>;

/** @throws AwsError `ValidationError` naming the property. */
export function parseGroupInput(input: unknown): GroupInput {
  const parsed = groupInput.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new AwsError('ValidationError', z.prettifyError(parsed.error));
}

/** @throws AwsError `ValidationError` */
export function parseHook(input: unknown): LifecycleHook {
  const parsed = hook.safeParse(input);
  if (!parsed.success) throw new AwsError('ValidationError', z.prettifyError(parsed.error));
  const { LifecycleHookName, LifecycleTransition, HeartbeatTimeout, DefaultResult, NotificationMetadata } =
    parsed.data;
  return { LifecycleHookName, LifecycleTransition, HeartbeatTimeout, DefaultResult, NotificationMetadata };
}

/** Looks a template up and completes the reference; the version stays as given. */
export type ResolveName = (name: z.infer<typeof launchTemplate>) => LaunchTemplateReference;

const tagsOf = (tags: GroupInput['Tags']): GroupTag[] | undefined =>
  tags?.map(({ Key, Value, PropagateAtLaunch }) => ({ Key, Value, PropagateAtLaunch }));

/** Without the keys whose value is undefined, so that a spread keeps what was there. */
function given<T extends object>(values: { readonly [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** The parts of a configuration that the input speaks of. */
export function changesOf(input: GroupInput, resolveName: ResolveName): Partial<GroupConfiguration> {
  return given<GroupConfiguration>({
    minSize: input.MinSize,
    maxSize: input.MaxSize,
    launchTemplate: input.LaunchTemplate === undefined ? undefined : resolveName(input.LaunchTemplate),
    availabilityZones: input.AvailabilityZones,
    subnetIds: input.VPCZoneIdentifier,
    defaultCooldown: input.DefaultCooldown ?? input.Cooldown,
    healthCheckType: input.HealthCheckType,
    healthCheckGracePeriod: input.HealthCheckGracePeriod,
    defaultInstanceWarmup: input.DefaultInstanceWarmup,
    newInstancesProtectedFromScaleIn: input.NewInstancesProtectedFromScaleIn,
    terminationPolicies: input.TerminationPolicies,
    capacityRebalance: input.CapacityRebalance,
    terminateHookAbandon: input.InstanceLifecyclePolicy?.RetentionTriggers?.TerminateHookAbandon,
    tags: tagsOf(input.Tags),
  });
}

/** AWS's defaults for everything a new group may leave out. */
export const DEFAULT_CONFIGURATION: Omit<GroupConfiguration, 'minSize' | 'maxSize' | 'launchTemplate'> = {
  availabilityZones: [],
  subnetIds: [],
  defaultCooldown: 300,
  healthCheckType: 'EC2',
  healthCheckGracePeriod: 0,
  defaultInstanceWarmup: undefined,
  newInstancesProtectedFromScaleIn: false,
  terminationPolicies: ['Default'],
  capacityRebalance: false,
  terminateHookAbandon: 'terminate',
  tags: [],
};

/** @throws AwsError `ValidationError` in AWS's words. */
export function checkSizes(minSize: number, maxSize: number, desiredCapacity: number): void {
  if (minSize > maxSize) {
    throw new AwsError(
      'ValidationError',
      `Max bound, ${maxSize}, must be greater than or equal to min bound, ${minSize}`,
    );
  }
  if (desiredCapacity < minSize || desiredCapacity > maxSize) {
    throw new AwsError(
      'ValidationError',
      `Desired capacity:${desiredCapacity} must be between the specified min size:${minSize} and max size:${maxSize}`,
    );
  }
}
