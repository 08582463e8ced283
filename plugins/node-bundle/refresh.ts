import { setTimeout as delay } from 'node:timers/promises';
import {
  type AutoScalingClient,
  CancelInstanceRefreshCommand,
  DescribeInstanceRefreshesCommand,
  StartInstanceRefreshCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { hasName } from './error-name.ts';
import { type DeployedGroup, describeGroup } from './node-group.ts';

/** A refresh that has not ended. */
export interface ActiveRefresh {
  readonly status: string;
  /** What it brings; undefined: what the group is configured with. */
  readonly launchTemplateVersion: string | undefined;
}

export type RefreshPlan =
  /** Every node runs the version, and the group launches no other. */
  | { readonly kind: 'nothing' }
  /** A refresh under way does it, or undoes it because the version did not start. */
  | { readonly kind: 'leave'; readonly because: 'running already' | 'being rolled back' }
  /** A refresh under way does something else: it has to stop first. */
  | { readonly kind: 'stop' }
  /** Every node runs the version, but the group would still launch another. */
  | { readonly kind: 'configure' }
  /** `rollbackTo`: the version to return to if the new one does not start; undefined: no node has proven any. */
  | { readonly kind: 'replace'; readonly rollbackTo: string | undefined };

/**
 * How to bring the nodes to the version that the stack was deployed with. What the group is configured with says
 * nothing about that: while a refresh is under way it is the version from before, and when the refresh is cancelled or
 * rolled back it stays so, of which CloudFormation hears nothing.
 */
export function planRefresh(
  group: DeployedGroup,
  wanted: string,
  active: ActiveRefresh | undefined,
): RefreshPlan {
  if (active !== undefined) {
    const brought = active.launchTemplateVersion ?? group.launchTemplateVersion;
    if (brought !== wanted || active.status === 'Cancelling') return { kind: 'stop' };
    const isRollback = active.status.startsWith('Rollback');
    return { kind: 'leave', because: isRollback ? 'being rolled back' : 'running already' };
  }
  const isOutdated = group.instances.some(
    ({ launchTemplateVersion, lifecycleState }) =>
      launchTemplateVersion !== undefined &&
      launchTemplateVersion !== wanted &&
      !lifecycleState.startsWith('Terminat'),
  );
  if (isOutdated) return { kind: 'replace', rollbackTo: provenVersion(group, wanted) };
  return { kind: group.launchTemplateVersion === wanted ? 'nothing' : 'configure' };
}

/** What the nodes in service run: the newest version that has proven itself, unless that is the new one already. */
function provenVersion({ instances }: DeployedGroup, wanted: string): string | undefined {
  return instances
    .filter(({ lifecycleState }) => lifecycleState === 'InService')
    .map((instance) => instance.launchTemplateVersion)
    .filter((version) => version !== undefined && version !== wanted)
    .sort((a, b) => Number(b) - Number(a))[0];
}

export type RefreshOutcome =
  | 'no node to replace'
  | 'started'
  | Extract<RefreshPlan, { kind: 'leave' }>['because'];

/**
 * Brings the nodes to a version, by a refresh if need be. Safe to repeat, and makes good what an interrupted, cancelled
 * or rolled back one has left. @returns undefined when there is nothing to do.
 */
export async function bringNodesTo(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
  version: string,
): Promise<RefreshOutcome | undefined> {
  const group = await describeGroup(autoScaling, autoScalingGroupName);
  if (group === undefined) return undefined;
  const plan = planRefresh(group, version, await activeRefresh(autoScaling, autoScalingGroupName));
  if (plan.kind !== 'stop')
    return await carryOut(autoScaling, autoScalingGroupName, { group, version, plan });
  await cancelRefresh(autoScaling, autoScalingGroupName);
  const stopped = (await describeGroup(autoScaling, autoScalingGroupName)) ?? group;
  const then = planRefresh(stopped, version, undefined);
  return await carryOut(autoScaling, autoScalingGroupName, { group: stopped, version, plan: then });
}

async function carryOut(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
  options: { readonly group: DeployedGroup; readonly version: string; readonly plan: RefreshPlan },
): Promise<RefreshOutcome | undefined> {
  const { group, version, plan } = options;
  switch (plan.kind) {
    case 'leave':
      return plan.because;
    case 'configure':
      await configure(autoScaling, autoScalingGroupName, group, version);
      return 'no node to replace';
    case 'replace':
      return await replaceNodes(autoScaling, autoScalingGroupName, { group, version, ...plan });
    default:
      return undefined;
  }
}

async function configure(
  autoScaling: AutoScalingClient,
  AutoScalingGroupName: string,
  { launchTemplateId: LaunchTemplateId }: DeployedGroup,
  Version: string,
): Promise<void> {
  const LaunchTemplate = { LaunchTemplateId, Version };
  await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, LaunchTemplate }));
}

/**
 * Replaces the nodes one by one by the new version, the new one first: a node is in service only when it holds its
 * data, so nothing is lost on the way, also in a group of one. A version that never gets there is rolled back.
 *
 * Auto Scaling rolls back to what the group was configured with when the refresh began, and by then the stack update
 * has given it the new version. So the group first goes back to what its nodes run; the refresh brings the new version
 * and, if it succeeds, leaves the group with it.
 */
async function replaceNodes(
  autoScaling: AutoScalingClient,
  AutoScalingGroupName: string,
  wanted: {
    readonly group: DeployedGroup;
    readonly version: string;
    readonly rollbackTo: string | undefined;
  },
): Promise<'started' | 'running already'> {
  const { group, version, rollbackTo } = wanted;
  if (rollbackTo !== undefined && rollbackTo !== group.launchTemplateVersion)
    await configure(autoScaling, AutoScalingGroupName, group, rollbackTo);
  try {
    await autoScaling.send(
      new StartInstanceRefreshCommand({
        AutoScalingGroupName,
        Strategy: 'Rolling',
        DesiredConfiguration: {
          LaunchTemplate: { LaunchTemplateId: group.launchTemplateId, Version: version },
        },
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
    // Somebody was faster, and the group takes no other version until that is over.
    if (hasName(error, 'InstanceRefreshInProgress', 'InstanceRefreshInProgressFault'))
      return 'running already';
    await configure(autoScaling, AutoScalingGroupName, group, version);
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
    if (!hasName(error, 'ActiveInstanceRefreshNotFound', 'ActiveInstanceRefreshNotFoundFault')) throw error;
    if ((await activeRefresh(autoScaling, autoScalingGroupName)) === undefined) return 'none';
    // Cancelled before, by somebody else, and not over yet.
  }
  const deadline = Date.now() + CANCEL_LONGEST_MS;
  while ((await activeRefresh(autoScaling, autoScalingGroupName)) !== undefined) {
    if (Date.now() > deadline)
      throw new Error('the instance refresh under way does not stop: try again later');
    await delay(POLL_MS);
  }
  return 'cancelled';
}

async function activeRefresh(
  autoScaling: AutoScalingClient,
  AutoScalingGroupName: string,
): Promise<ActiveRefresh | undefined> {
  // The newest first, and at most one can be under way.
  const { InstanceRefreshes = [] } = await autoScaling.send(
    new DescribeInstanceRefreshesCommand({ AutoScalingGroupName, MaxRecords: 1 }),
  );
  const [newest] = InstanceRefreshes;
  if (newest === undefined || ENDED.includes(newest.Status ?? '')) return undefined;
  return {
    status: newest.Status ?? '',
    launchTemplateVersion: newest.DesiredConfiguration?.LaunchTemplate?.Version,
  };
}
