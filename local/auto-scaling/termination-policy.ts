import type { GroupInstance, LaunchTemplateReference } from './group-state.ts';

type Order = (a: GroupInstance, b: GroupInstance) => number;

const oldestFirst: Order = (a, b) => a.launchedMs - b.launchedMs;
const newestFirst: Order = (a, b) => b.launchedMs - a.launchedMs;
const oldestTemplateFirst: Order = (a, b) =>
  Number(a.launchTemplate.Version) - Number(b.launchTemplate.Version);

/**
 * How AWS orders candidates, by policy. `Default` in a group without Spot and with one hourly billing second: the
 * oldest launch template first, then the instance closest to the next billing hour, which with billing by the second
 * is as good as any; here the oldest, so that runs are repeatable.
 */
const POLICIES: Readonly<Record<string, Order>> = {
  Default: (a, b) => oldestTemplateFirst(a, b) || oldestFirst(a, b),
  OldestInstance: oldestFirst,
  NewestInstance: newestFirst,
  OldestLaunchTemplate: oldestTemplateFirst,
  OldestLaunchConfiguration: oldestTemplateFirst,
  ClosestToNextInstanceHour: oldestFirst,
  AllocationStrategy: () => 0,
};

export const TERMINATION_POLICIES: readonly string[] = Object.keys(POLICIES);

/** Zones with the most instances lose first: balance goes before policy. */
function inFullestZone(instances: readonly GroupInstance[]): readonly GroupInstance[] {
  const counts = new Map<string, number>();
  for (const { availabilityZone } of instances) {
    counts.set(availabilityZone, (counts.get(availabilityZone) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  return instances.filter(({ availabilityZone }) => counts.get(availabilityZone) === most);
}

/**
 * The instance that a scale-in takes next. Instances in service go before those still launching; protected ones
 * never go. Undefined when every instance is protected.
 */
export function selectForTermination(
  candidates: readonly GroupInstance[],
  policies: readonly string[],
): GroupInstance | undefined {
  const open = candidates.filter(({ protectedFromScaleIn }) => !protectedFromScaleIn);
  const inService = open.filter(({ lifecycleState }) => lifecycleState === 'InService');
  const eligible = inService.length > 0 ? inService : open;
  if (eligible.length === 0) return undefined;
  const orders = policies.map((policy) => POLICIES[policy] ?? oldestFirst);
  const ranked = [...inFullestZone(eligible)].sort((a, b) => {
    for (const order of orders) {
      const difference = order(a, b);
      if (difference !== 0) return difference;
    }
    return oldestFirst(a, b) || (a.instanceId < b.instanceId ? -1 : 1);
  });
  return ranked[0];
}

export function isSameTemplate(a: LaunchTemplateReference, b: LaunchTemplateReference): boolean {
  return a.LaunchTemplateId === b.LaunchTemplateId && a.Version === b.Version;
}
