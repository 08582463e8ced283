import type { MemberRecord } from './member-record.ts';
import type { RingMeta } from './ring-meta.ts';

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

export type ScaleDecision =
  | { readonly kind: 'scaleOut'; readonly desiredCapacity: number; readonly reason: string }
  | { readonly kind: 'skip'; readonly reason: SkipReason };
export type SkipReason = 'noRing' | 'teardown' | 'duplicate' | 'cooldown' | 'joining' | 'max' | 'bytesFit';

/**
 * How large the group should be while the disk alarm is in ALARM. The answer is an absolute capacity, so carrying it
 * out twice adds no node. As many nodes as the bytes need, at least one; never while a member is still on its way,
 * because its relief is not in the numbers yet.
 */
export function decideScaleOut(options: {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly group: GroupView;
  /** What triggered it: the alarm's timestamp, or the reconciler's minute. The same trigger never adds twice. */
  readonly scaleKey: string;
  readonly thresholdPercent: number;
  readonly nowMs: number;
}): ScaleDecision {
  const { meta, members, group, scaleKey, thresholdPercent, nowMs } = options;
  const skip = (reason: SkipReason): ScaleDecision => ({ kind: 'skip', reason });
  if (meta.status === 'TEARDOWN') return skip('teardown');
  if (meta.status !== 'ACTIVE') return skip('noRing');
  if (meta.scaleKey === scaleKey) return skip('duplicate');
  if (isSomebodyOnTheWay(members, group)) return skip('joining');
  if (group.desiredCapacity >= group.maxSize) return skip('max');
  if (meta.cooldownUntilMs > nowMs) return skip('cooldown');
  const active = members.filter(({ state, ringId }) => state === 'ACTIVE' && ringId === meta.ringId);
  const fullest = Math.max(0, ...active.map(usedPercent));
  // The metric lags behind the disks. Without any report the alarm is all there is to go by.
  if (active.some(({ usage }) => usage !== undefined) && fullest < thresholdPercent) return skip('bytesFit');
  const desiredCapacity = Math.min(
    group.maxSize,
    Math.max(group.desiredCapacity + 1, nodesNeeded(active, thresholdPercent)),
  );
  return { kind: 'scaleOut', desiredCapacity, reason: `fullest member at ${Math.floor(fullest)} %` };
}

function usedPercent({ usage }: MemberRecord): number {
  return usage === undefined || usage.capacityBytes <= 0 ? 0 : (100 * usage.usedBytes) / usage.capacityBytes;
}

/** The fewest members of average capacity that hold all bytes below the threshold if these were spread evenly. */
function nodesNeeded(active: readonly MemberRecord[], thresholdPercent: number): number {
  const reports = active.flatMap(({ usage }) => usage ?? []);
  const capacity = reports.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0) / reports.length;
  const used = reports.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  return capacity > 0 ? Math.ceil(used / ((capacity * thresholdPercent) / 100)) : 0;
}

function isSomebodyOnTheWay(members: readonly MemberRecord[], group: GroupView): boolean {
  const present = new Set(group.instances.map(({ instanceId }) => instanceId));
  const isJoining = members.some(
    ({ state, instanceId }) =>
      (state === 'PENDING' || state === 'ASSIGNED' || state === 'JOINING') && present.has(instanceId),
  );
  const coming = group.instances.filter(({ lifecycleState }) => lifecycleState.startsWith('Pending'));
  const staying = group.instances.filter(({ lifecycleState }) => lifecycleState === 'InService');
  return isJoining || coming.length > 0 || staying.length < group.desiredCapacity;
}
