import { setTimeout as delay } from 'node:timers/promises';
import {
  type AutoScalingClient,
  CancelInstanceRefreshCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  StartInstanceRefreshCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { hasName } from './error-name.ts';

export interface GroupInstance {
  readonly instanceId: string;
  readonly lifecycleState: string;
  readonly isProtected: boolean;
  /** Undefined while Auto Scaling does not say. */
  readonly launchTemplateVersion: string | undefined;
}

export interface DeployedGroup {
  readonly desiredCapacity: number;
  readonly launchTemplateId: string;
  readonly launchTemplateVersion: string;
  readonly instances: readonly GroupInstance[];
}

/** Undefined before the first deploy. */
export async function describeGroup(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<DeployedGroup | undefined> {
  const { AutoScalingGroups = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [autoScalingGroupName] }),
  );
  const group = AutoScalingGroups[0];
  const { LaunchTemplateId, Version } = group?.LaunchTemplate ?? {};
  if (group === undefined || LaunchTemplateId === undefined || Version === undefined) return undefined;
  return {
    desiredCapacity: group.DesiredCapacity ?? 0,
    launchTemplateId: LaunchTemplateId,
    launchTemplateVersion: Version,
    instances: (group.Instances ?? []).map((instance) => ({
      instanceId: instance.InstanceId ?? '',
      lifecycleState: instance.LifecycleState ?? '',
      isProtected: instance.ProtectedFromScaleIn ?? false,
      launchTemplateVersion: instance.LaunchTemplate?.Version,
    })),
  };
}

/** Whether some node still runs an older version, also when an earlier deploy was interrupted before it replaced it. */
export function isOutdated({ instances, launchTemplateVersion }: DeployedGroup): boolean {
  return instances.some(
    (instance) =>
      instance.launchTemplateVersion !== undefined &&
      instance.launchTemplateVersion !== launchTemplateVersion &&
      !instance.lifecycleState.startsWith('Terminat'),
  );
}

/** What the nodes in service run: the newest version that has proven itself, unless that is the new one already. */
function provenVersion({ instances, launchTemplateVersion }: DeployedGroup): string | undefined {
  return instances
    .filter(({ lifecycleState }) => lifecycleState === 'InService')
    .map((instance) => instance.launchTemplateVersion)
    .filter((version) => version !== undefined && version !== launchTemplateVersion)
    .sort((a, b) => Number(b) - Number(a))[0];
}

/**
 * Replaces the nodes one by one by the new version, the new one first: a node is in service only when it holds its
 * data, so nothing is lost on the way, also in a group of one. A version that never gets there is rolled back.
 *
 * Auto Scaling rolls back to what the group was configured with when the refresh began, and by then the stack update
 * has given it the new version. So the group first goes back to what its nodes run; the refresh brings the new version
 * and, if it succeeds, leaves the group with it.
 */
export async function refreshNodes(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
  group: DeployedGroup,
): Promise<'started' | 'running already'> {
  const AutoScalingGroupName = autoScalingGroupName;
  const wanted = { LaunchTemplateId: group.launchTemplateId, Version: group.launchTemplateVersion };
  const configure = (LaunchTemplate: typeof wanted) =>
    autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, LaunchTemplate }));
  const Version = provenVersion(group);
  if (Version !== undefined) await configure({ ...wanted, Version });
  try {
    await autoScaling.send(
      new StartInstanceRefreshCommand({
        AutoScalingGroupName,
        Strategy: 'Rolling',
        DesiredConfiguration: { LaunchTemplate: wanted },
        Preferences: {
          MinHealthyPercentage: 100,
          // At least one more than desired, and no more in a small group: nodes that join or leave do it best alone.
          MaxHealthyPercentage: 110,
          SkipMatching: true,
          AutoRollback: true,
          InstanceWarmup: 0,
          ScaleInProtectedInstances: 'Ignore',
          StandbyInstances: 'Ignore',
        },
      }),
    );
    return 'started';
  } catch (error) {
    if (Version !== undefined) await configure(wanted);
    if (hasName(error, 'InstanceRefreshInProgress', 'InstanceRefreshInProgressFault'))
      return 'running already';
    throw error;
  }
}

/** How long a cancelled refresh may take to stop; the instance it is at is finished first. */
const CANCEL_LONGEST_MS = 15 * 60_000;
const POLL_MS = 5_000;
const ENDED = ['Successful', 'Failed', 'Cancelled', 'RollbackSuccessful', 'RollbackFailed'];

/**
 * Stops a refresh under way and waits until it has stopped: while it goes on, Auto Scaling refuses to give the group
 * another launch template. What it has replaced stays; the next refresh goes on from there.
 */
export async function cancelRefresh(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<'cancelled' | 'none'> {
  try {
    await autoScaling.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: autoScalingGroupName }));
  } catch (error) {
    if (hasName(error, 'ActiveInstanceRefreshNotFound', 'ActiveInstanceRefreshNotFoundFault')) return 'none';
    throw error;
  }
  const deadline = Date.now() + CANCEL_LONGEST_MS;
  while (!(await hasEnded(autoScaling, autoScalingGroupName))) {
    if (Date.now() > deadline)
      throw new Error('the instance refresh under way does not stop: try again later');
    await delay(POLL_MS);
  }
  return 'cancelled';
}

async function hasEnded(autoScaling: AutoScalingClient, AutoScalingGroupName: string): Promise<boolean> {
  // The newest first, and at most one can be under way.
  const { InstanceRefreshes = [] } = await autoScaling.send(
    new DescribeInstanceRefreshesCommand({ AutoScalingGroupName, MaxRecords: 1 }),
  );
  return InstanceRefreshes.every(({ Status = '' }) => ENDED.includes(Status));
}
