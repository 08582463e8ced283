import type { MemberRecord } from './member-record.ts';

/** The group as Auto Scaling describes it. */
export interface GroupView {
  readonly minSize: number;
  readonly maxSize: number;
  readonly desiredCapacity: number;
  readonly instances: readonly GroupInstance[];
}
export interface GroupInstance {
  readonly instanceId: string;
  /** AWS's lifecycle state; matched by prefix, because AWS adds to the list. */
  readonly lifecycleState: string;
}

/** Who is coming and not ACTIVE yet, in words; undefined: everybody who was asked for is there. */
export function whoIsOnTheWay(members: readonly MemberRecord[], group: GroupView): string | undefined {
  const present = new Set(group.instances.map(({ instanceId }) => instanceId));
  const joining = members.filter(
    ({ state, instanceId }) =>
      (state === 'PENDING' || state === 'ASSIGNED' || state === 'JOINING') && present.has(instanceId),
  );
  const [first] = joining;
  if (first !== undefined) {
    const others = joining.length > 1 ? `, and ${joining.length - 1} more on the way` : '';
    return `${first.instanceId} is ${first.state}${others}: its relief is not in the numbers yet`;
  }
  const coming = group.instances.find(({ lifecycleState }) => lifecycleState.startsWith('Pending'));
  if (coming !== undefined) return `${coming.instanceId} is ${coming.lifecycleState}`;
  const staying = group.instances.filter(({ lifecycleState }) => lifecycleState === 'InService').length;
  return staying < group.desiredCapacity
    ? `${staying} of ${group.desiredCapacity} instances are in service: Auto Scaling is launching`
    : undefined;
}

/**
 * Whether a lifecycle action that AWS says it does not know is still to come: the instance is on its way into the
 * hook's wait, or in a wait that is visible before it can be completed. Otherwise it is over. AWS's error is the same
 * for too early and too late, and another hook's wait says nothing about this one.
 */
export function isActionToCome(transition: 'launch' | 'terminate', lifecycleState: string): boolean {
  const waiting = transition === 'launch' ? 'Pending' : 'Terminating';
  return lifecycleState === waiting || lifecycleState === `${waiting}:Wait`;
}
