import {
  countsAsCapacity,
  type GroupInstance,
  type GroupState,
  type InstanceRefresh,
  type LaunchTemplateReference,
} from './group-state.ts';

/** Launches that may fail before a refresh gives up: a bad bundle fails each time, a hiccup once. */
const MAX_LAUNCH_FAILURES = 3;

export function activeRefresh(group: GroupState): InstanceRefresh | undefined {
  return group.refreshes.find(
    ({ status }) => status === 'InProgress' || status === 'RollbackInProgress' || status === 'Cancelling',
  );
}

/**
 * What the next launch uses: as long as a refresh brings a desired configuration that one, whatever the launch is for.
 * A refresh that is cancelled or rolls back brings nothing any more: the group's own configuration was never changed.
 */
export function launchTemplateOf(group: GroupState): LaunchTemplateReference {
  const refresh = activeRefresh(group);
  const isBrought = refresh?.status === 'InProgress' && refresh.desiredTemplate !== undefined;
  return isBrought ? refresh.desiredTemplate : group.configuration.launchTemplate;
}

export type RefreshDecision =
  /** Nothing to do now: the rest of the group is still moving. */
  | { readonly kind: 'wait' }
  /** One instance more than desired may be launched, so that its predecessor can go afterwards. */
  | { readonly kind: 'surge' }
  | { readonly kind: 'replace'; readonly instance: GroupInstance }
  | { readonly kind: 'finish' }
  | { readonly kind: 'fail' };

/**
 * What a refresh does next. One instance at a time whatever the percentages allow: with `MinHealthyPercentage` 100
 * its successor is in service before it goes, below 100 it goes first. The next round waits until nobody is leaving,
 * because instances that hand over data do it best alone.
 */
export function decideRefresh(group: GroupState, refresh: InstanceRefresh): RefreshDecision {
  if (refresh.launchFailures >= MAX_LAUNCH_FAILURES) return { kind: 'fail' };
  const counted = group.instances.filter(countsAsCapacity);
  const inService = counted.filter(({ lifecycleState }) => lifecycleState === 'InService');
  const isMoving =
    counted.length > inService.length ||
    group.instances.some(({ lifecycleState }) => /^Terminating(:Wait|:Proceed)?$/.test(lifecycleState));
  const outdated = counted.find(({ instanceId }) => refresh.outdated.includes(instanceId));
  if (refresh.status === 'Cancelling') return isMoving ? { kind: 'wait' } : { kind: 'finish' };
  if (outdated === undefined) return isMoving ? { kind: 'wait' } : { kind: 'finish' };
  const launchesFirst = refresh.preferences.minHealthyPercentage >= 100;
  const needed = group.desiredCapacity + (launchesFirst ? 1 : 0);
  if (inService.length >= needed) return { kind: 'replace', instance: outdated };
  // Already launching counts towards the surge, so this stays true until the newcomer is in service.
  const isLeaving =
    group.instances.length > counted.length && isMoving && counted.length === inService.length;
  return launchesFirst && !isLeaving ? { kind: 'surge' } : { kind: 'wait' };
}

/** Percent of the instances to update that are done, as `DescribeInstanceRefreshes` shows it. */
export function refreshProgress(group: GroupState, refresh: InstanceRefresh): number {
  if (refresh.instancesToUpdate === 0 || refresh.endMs !== undefined) return 100;
  const left = group.instances.filter(({ instanceId }) => refresh.outdated.includes(instanceId)).length;
  return Math.floor((100 * (refresh.instancesToUpdate - left)) / refresh.instancesToUpdate);
}
