import { z } from 'zod';

/**
 * The AWS events the functions answer to, checked at the door. Objects are open: AWS adds fields without notice.
 * Warm pools move instances between states that look like launches and terminations; this group has none, so an
 * event that names one is refused rather than half understood.
 */
const noWarmPool = z
  .string()
  .refine((place) => place === 'EC2' || place === 'AutoScalingGroup', 'warm pools are not supported')
  .optional();

const lifecycleDetail = z.looseObject({
  AutoScalingGroupName: z.string(),
  LifecycleHookName: z.string(),
  LifecycleActionToken: z.string(),
  EC2InstanceId: z.string().min(1),
  Origin: noWarmPool,
  Destination: noWarmPool,
});

export const launchEvent = z.looseObject({
  'detail-type': z.literal('EC2 Instance-launch Lifecycle Action'),
  source: z.literal('aws.autoscaling'),
  detail: lifecycleDetail.extend({ LifecycleTransition: z.literal('autoscaling:EC2_INSTANCE_LAUNCHING') }),
});
export type LaunchEvent = z.infer<typeof launchEvent>;

const terminateLifecycleEvent = z.looseObject({
  'detail-type': z.literal('EC2 Instance-terminate Lifecycle Action'),
  source: z.literal('aws.autoscaling'),
  detail: lifecycleDetail.extend({ LifecycleTransition: z.literal('autoscaling:EC2_INSTANCE_TERMINATING') }),
});
const spotEvent = z.looseObject({
  'detail-type': z.enum(['EC2 Spot Instance Interruption Warning', 'EC2 Instance Rebalance Recommendation']),
  source: z.literal('aws.ec2'),
  id: z.string(),
  detail: z.looseObject({ 'instance-id': z.string().min(1) }),
});
export const terminateEvent = z.union([terminateLifecycleEvent, spotEvent]);
export type TerminateEvent = z.infer<typeof terminateEvent>;

export const alarmEvent = z.looseObject({
  'detail-type': z.literal('CloudWatch Alarm State Change'),
  source: z.literal('aws.cloudwatch'),
  detail: z.looseObject({
    alarmName: z.string(),
    state: z.looseObject({
      value: z.enum(['ALARM', 'OK', 'INSUFFICIENT_DATA']),
      reason: z.string().optional(),
      // AWS writes `+0000`, which is not what `z.iso` takes.
      timestamp: z.string().refine((text) => !Number.isNaN(Date.parse(text)), 'not a time'),
    }),
  }),
});
export type AlarmEvent = z.infer<typeof alarmEvent>;

const activityEvent = z.looseObject({
  'detail-type': z.enum([
    'EC2 Instance Launch Successful',
    'EC2 Instance Launch Unsuccessful',
    'EC2 Instance Terminate Successful',
    'EC2 Instance Terminate Unsuccessful',
  ]),
  source: z.literal('aws.autoscaling'),
  time: z.iso.datetime(),
  detail: z.looseObject({
    AutoScalingGroupName: z.string(),
    ActivityId: z.string(),
    EC2InstanceId: z.string().optional(),
    StatusMessage: z.string().optional(),
    Cause: z.string().optional(),
    Origin: noWarmPool,
    Destination: noWarmPool,
  }),
});
const refreshEvent = z.looseObject({
  'detail-type': z.string().startsWith('EC2 Auto Scaling Instance Refresh'),
  source: z.literal('aws.autoscaling'),
  time: z.iso.datetime(),
  detail: z.looseObject({ AutoScalingGroupName: z.string(), InstanceRefreshId: z.string() }),
});
const instanceStateEvent = z.looseObject({
  'detail-type': z.literal('EC2 Instance State-change Notification'),
  source: z.literal('aws.ec2'),
  id: z.string(),
  detail: z.looseObject({ 'instance-id': z.string().min(1), state: z.string() }),
});
export const asgResultEvent = z.union([activityEvent, instanceStateEvent, refreshEvent]);
export type AsgResultEvent = z.infer<typeof asgResultEvent>;

/** EventBridge's scheduled event; nothing in it is used but that it came. */
export const scheduledEvent = z.looseObject({ 'detail-type': z.literal('Scheduled Event') });
export type ScheduledEvent = z.infer<typeof scheduledEvent>;
