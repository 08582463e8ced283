import type { EmittedEvent } from '../service.ts';
import {
  type Activity,
  type GroupInstance,
  type GroupState,
  LAUNCHING,
  type LifecycleAction,
  type LifecycleHook,
  type LifecycleTransition,
} from './group-state.ts';

/** AWS keeps six weeks; a long local run is bounded by count instead. */
const MAX_ACTIVITIES = 1000;

/** `2026-01-02T03:04:05Z`, as cause texts have it. */
export function causeTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function addActivity(group: GroupState, activity: Activity): Activity {
  group.activities.push(activity);
  if (group.activities.length > MAX_ACTIVITIES) group.activities.shift();
  return activity;
}

export function activityOf(group: GroupState, activityId: string): Activity | undefined {
  return group.activities.findLast((activity) => activity.activityId === activityId);
}

export function instanceArn(group: GroupState, instanceId: string): string {
  const [, , , region = '', account = ''] = group.arn.split(':');
  return `arn:aws:ec2:${region}:${account}:instance/${instanceId}`;
}

const route = (transition: LifecycleTransition) =>
  transition === LAUNCHING
    ? { Origin: 'EC2', Destination: 'AutoScalingGroup' }
    : { Origin: 'AutoScalingGroup', Destination: 'EC2' };

/** `EC2 Instance-launch Lifecycle Action` and its terminate twin. */
export function lifecycleEvent(
  group: GroupState,
  instance: GroupInstance,
  hook: LifecycleHook,
  action: LifecycleAction,
): EmittedEvent {
  const kind = hook.LifecycleTransition === LAUNCHING ? 'launch' : 'terminate';
  return {
    source: 'aws.autoscaling',
    'detail-type': `EC2 Instance-${kind} Lifecycle Action`,
    resources: [group.arn],
    detail: {
      LifecycleActionToken: action.token,
      AutoScalingGroupName: group.name,
      LifecycleHookName: hook.LifecycleHookName,
      EC2InstanceId: instance.instanceId,
      LifecycleTransition: hook.LifecycleTransition,
      ...(hook.NotificationMetadata === undefined ? {} : { NotificationMetadata: hook.NotificationMetadata }),
      ...route(hook.LifecycleTransition),
    },
  };
}

/**
 * `EC2 Instance Launch Successful` and its three siblings. AWS's status code in the successful ones is `InProgress`,
 * because the activity's last step is telling the world.
 */
export function resultEvent(
  group: GroupState,
  activity: Activity,
  instanceId: string,
  succeeded: boolean,
): EmittedEvent {
  const kind = activity.transition === LAUNCHING ? 'Launch' : 'Terminate';
  return {
    source: 'aws.autoscaling',
    'detail-type': `EC2 Instance ${kind} ${succeeded ? 'Successful' : 'Unsuccessful'}`,
    resources: instanceId === '' ? [group.arn] : [group.arn, instanceArn(group, instanceId)],
    detail: {
      StatusCode: succeeded ? 'InProgress' : 'Failed',
      Description: activity.description,
      AutoScalingGroupName: group.name,
      ActivityId: activity.activityId,
      Details: activity.details,
      RequestId: activity.activityId,
      StatusMessage: activity.statusMessage,
      EndTime: new Date(activity.endMs ?? activity.startMs).toISOString(),
      EC2InstanceId: instanceId,
      StartTime: new Date(activity.startMs).toISOString(),
      Cause: activity.cause,
      ...route(activity.transition),
    },
  };
}

/** `EC2 Auto Scaling Instance Refresh Started`, `... Succeeded` and so on. */
export function refreshEvent(group: GroupState, instanceRefreshId: string, what: string): EmittedEvent {
  return {
    source: 'aws.autoscaling',
    'detail-type': `EC2 Auto Scaling Instance Refresh ${what}`,
    resources: [group.arn],
    detail: { InstanceRefreshId: instanceRefreshId, AutoScalingGroupName: group.name },
  };
}
