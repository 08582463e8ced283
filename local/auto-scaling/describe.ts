import { ACCOUNT_ID } from '../service.ts';
import { causeTime } from './activities.ts';
import {
  type Activity,
  type GroupInstance,
  type GroupState,
  type InstanceRefresh,
  LAUNCHING,
  type LifecycleHook,
} from './group-state.ts';
import { refreshProgress } from './refresh.ts';

function instanceFields(instance: GroupInstance) {
  return {
    InstanceId: instance.instanceId,
    InstanceType: instance.instanceType,
    AvailabilityZone: instance.availabilityZone,
    LifecycleState: instance.lifecycleState,
    LaunchTemplate: instance.launchTemplate,
    ImageId: instance.imageId,
    ProtectedFromScaleIn: instance.protectedFromScaleIn,
  };
}

/** One entry of `AutoScalingGroups[].Instances`. */
function instanceOfGroup(instance: GroupInstance) {
  return { ...instanceFields(instance), HealthStatus: instance.healthStatus };
}

/** One entry of `AutoScalingInstances`: health is in capitals there, as on AWS. */
export function instanceDetails(group: GroupState, instance: GroupInstance) {
  return {
    ...instanceFields(instance),
    AutoScalingGroupName: group.name,
    HealthStatus: instance.healthStatus.toUpperCase(),
  };
}

export function groupView(group: GroupState) {
  const { configuration } = group;
  const policy = configuration.terminateHookAbandon;
  return {
    AutoScalingGroupName: group.name,
    AutoScalingGroupARN: group.arn,
    LaunchTemplate: configuration.launchTemplate,
    MinSize: configuration.minSize,
    MaxSize: configuration.maxSize,
    DesiredCapacity: group.desiredCapacity,
    DefaultCooldown: configuration.defaultCooldown,
    AvailabilityZones: configuration.availabilityZones,
    LoadBalancerNames: [],
    TargetGroupARNs: [],
    HealthCheckType: configuration.healthCheckType,
    HealthCheckGracePeriod: configuration.healthCheckGracePeriod,
    Instances: group.instances.map(instanceOfGroup),
    CreatedTime: new Date(group.createdMs),
    SuspendedProcesses: group.suspendedProcesses.map((ProcessName) => ({
      ProcessName,
      SuspensionReason: 'User suspended',
    })),
    VPCZoneIdentifier: configuration.subnetIds.join(','),
    EnabledMetrics: [],
    Tags: configuration.tags.map((tag) => ({
      ...tag,
      ResourceId: group.name,
      ResourceType: 'auto-scaling-group',
    })),
    TerminationPolicies: configuration.terminationPolicies,
    NewInstancesProtectedFromScaleIn: configuration.newInstancesProtectedFromScaleIn,
    ServiceLinkedRoleARN: `arn:aws:iam::${ACCOUNT_ID}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
    CapacityRebalance: configuration.capacityRebalance,
    DefaultInstanceWarmup: configuration.defaultInstanceWarmup,
    Status: group.deleting ? 'Delete in progress' : undefined,
    InstanceLifecyclePolicy: { RetentionTriggers: { TerminateHookAbandon: policy } },
  };
}

/** AWS's cap on a wait: 48 hours or 100 heartbeats, in seconds. */
const MAX_WAIT_S = 172_800;

export function hookView(group: GroupState, hook: LifecycleHook) {
  return {
    ...hook,
    AutoScalingGroupName: group.name,
    GlobalTimeout: Math.min(MAX_WAIT_S, 100 * hook.HeartbeatTimeout),
  };
}

export function activityView(group: GroupState, activity: Activity) {
  return {
    ActivityId: activity.activityId,
    AutoScalingGroupName: group.name,
    AutoScalingGroupARN: group.arn,
    Description: activity.description,
    Cause: activity.cause,
    StartTime: new Date(activity.startMs),
    EndTime: activity.endMs === undefined ? undefined : new Date(activity.endMs),
    StatusCode: activity.status,
    StatusMessage: activity.statusMessage === '' ? undefined : activity.statusMessage,
    Progress:
      activity.transition === LAUNCHING && activity.status === 'MidLifecycleAction' ? 60 : activity.progress,
    Details: JSON.stringify(activity.details),
  };
}

export function refreshView(group: GroupState, refresh: InstanceRefresh) {
  const left = group.instances.filter(({ instanceId }) => refresh.outdated.includes(instanceId)).length;
  return {
    InstanceRefreshId: refresh.instanceRefreshId,
    AutoScalingGroupName: group.name,
    Status: refresh.status,
    StatusReason: refresh.statusReason,
    StartTime: new Date(refresh.startMs),
    EndTime: refresh.endMs === undefined ? undefined : new Date(refresh.endMs),
    PercentageComplete: refreshProgress(group, refresh),
    InstancesToUpdate: left,
    Preferences: {
      MinHealthyPercentage: refresh.preferences.minHealthyPercentage,
      SkipMatching: refresh.preferences.skipMatching,
      AutoRollback: refresh.preferences.autoRollback,
    },
    DesiredConfiguration:
      refresh.desiredTemplate === undefined ? undefined : { LaunchTemplate: refresh.desiredTemplate },
  };
}

/** How AWS tells in cause texts that a user changed the capacity. */
export function userRequestCause(nowMs: number, what: string, before: number, after: number): string {
  return `At ${causeTime(nowMs)} a user request ${what} changing the desired capacity from ${before} to ${after}.`;
}
