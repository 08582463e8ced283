/**
 * One Auto Scaling group as plain data: everything `DescribeAutoScalingGroups` shows and everything the state
 * machine remembers, so that a second start of the cloud goes on where the first ended. Times are real ms since the
 * epoch; durations are AWS's own (seconds, unscaled).
 */

export type LifecycleState =
  | 'Pending'
  | 'Pending:Wait'
  | 'Pending:Proceed'
  | 'InService'
  | 'Terminating'
  | 'Terminating:Wait'
  | 'Terminating:Proceed'
  | 'Terminating:Retained'
  | 'Terminated';

export const LAUNCHING = 'autoscaling:EC2_INSTANCE_LAUNCHING';
export const TERMINATING = 'autoscaling:EC2_INSTANCE_TERMINATING';
export type LifecycleTransition = typeof LAUNCHING | typeof TERMINATING;
export type ActionResult = 'CONTINUE' | 'ABANDON';

export interface LifecycleHook {
  readonly LifecycleHookName: string;
  readonly LifecycleTransition: LifecycleTransition;
  /** Seconds, 30-7200. */
  readonly HeartbeatTimeout: number;
  readonly DefaultResult: ActionResult;
  readonly NotificationMetadata?: string | undefined;
}

/** One hook waiting for one instance. */
export interface LifecycleAction {
  readonly hookName: string;
  readonly token: string;
  /** No heartbeat moves the deadline beyond this. */
  readonly capMs: number;
  /** Before this, completing it answers "No active Lifecycle Action found", as AWS does for a while. */
  readonly completableFromMs: number;
  deadlineMs: number;
}

export interface LaunchTemplateReference {
  readonly LaunchTemplateId: string;
  readonly LaunchTemplateName: string;
  /** A number, `$Latest` or `$Default` in a group; always a number in an instance. */
  readonly Version: string;
}

export interface GroupInstance {
  readonly instanceId: string;
  readonly availabilityZone: string;
  readonly instanceType: string;
  readonly imageId: string;
  readonly launchTemplate: LaunchTemplateReference;
  readonly launchedMs: number;
  lifecycleState: LifecycleState;
  healthStatus: 'Healthy' | 'Unhealthy';
  protectedFromScaleIn: boolean;
  /** Open hooks of the present wait; empty outside `*:Wait`. */
  actions: LifecycleAction[];
  /** The activity that moves it now. */
  activityId: string;
  inServiceMs: number | undefined;
  isMachineGone: boolean;
  /** When the health check will have noticed that the machine is gone. */
  unhealthyFromMs: number | undefined;
}

export type ActivityStatus =
  | 'PreInService'
  | 'MidLifecycleAction'
  | 'InProgress'
  | 'Successful'
  | 'Failed'
  | 'Cancelled';

export interface Activity {
  readonly activityId: string;
  readonly startMs: number;
  readonly cause: string;
  readonly transition: LifecycleTransition;
  readonly details: { readonly 'Availability Zone': string; readonly 'Subnet ID': string };
  description: string;
  status: ActivityStatus;
  statusMessage: string;
  progress: number;
  endMs: number | undefined;
}

export type RefreshStatus =
  | 'InProgress'
  | 'Successful'
  | 'Failed'
  | 'Cancelling'
  | 'Cancelled'
  | 'RollbackInProgress'
  | 'RollbackSuccessful'
  | 'RollbackFailed';

export interface InstanceRefresh {
  readonly instanceRefreshId: string;
  readonly startMs: number;
  readonly preferences: {
    readonly minHealthyPercentage: number;
    readonly skipMatching: boolean;
    readonly autoRollback: boolean;
  };
  /** What it brings; the group is configured with it only when the refresh has succeeded. Undefined: nothing new. */
  readonly desiredTemplate: LaunchTemplateReference | undefined;
  readonly instancesToUpdate: number;
  /** Instances that were there before and still have to go. */
  outdated: string[];
  launchFailures: number;
  status: RefreshStatus;
  statusReason: string | undefined;
  endMs: number | undefined;
}

export interface GroupTag {
  readonly Key: string;
  readonly Value: string;
  readonly PropagateAtLaunch: boolean;
}

/** What a user sets; `UpdateAutoScalingGroup` replaces parts of it. */
export interface GroupConfiguration {
  minSize: number;
  maxSize: number;
  launchTemplate: LaunchTemplateReference;
  availabilityZones: string[];
  subnetIds: string[];
  /** Seconds. */
  defaultCooldown: number;
  healthCheckType: string;
  /** Seconds. */
  healthCheckGracePeriod: number;
  /** Seconds; undefined: not set. */
  defaultInstanceWarmup: number | undefined;
  newInstancesProtectedFromScaleIn: boolean;
  terminationPolicies: string[];
  capacityRebalance: boolean;
  /** `retain` keeps an instance whose terminate hook was abandoned, see `Terminating:Retained`. */
  terminateHookAbandon: 'retain' | 'terminate';
  tags: GroupTag[];
}

export interface GroupState {
  readonly name: string;
  readonly arn: string;
  readonly createdMs: number;
  readonly configuration: GroupConfiguration;
  desiredCapacity: number;
  hooks: LifecycleHook[];
  instances: GroupInstance[];
  /** Newest last. */
  activities: Activity[];
  refreshes: InstanceRefresh[];
  suspendedProcesses: string[];
  /** Why the capacity last changed, opening the cause text of the activities that follow. */
  capacityReason: string;
  lastScalingMs: number | undefined;
  /** Launches that failed or were abandoned since one last succeeded. */
  failedLaunches: number;
  launchNotBeforeMs: number;
  deleting: boolean;
}

/** Counted against the desired capacity: what is coming or here, not what is leaving or kept aside. */
export function countsAsCapacity({ lifecycleState }: GroupInstance): boolean {
  return lifecycleState === 'InService' || lifecycleState.startsWith('Pending');
}

/** What `autoscaling/target-lifecycle-state` says: where the instance is going; undefined before that was decided. */
export function targetLifecycleState(state: LifecycleState): 'InService' | 'Terminated' | undefined {
  if (state === 'Pending') return undefined;
  return state === 'InService' || state.startsWith('Pending') ? 'InService' : 'Terminated';
}
