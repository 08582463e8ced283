import { type Fullness, observeFullness, roundPercent } from './fullness.ts';
import { type GroupView, whoIsOnTheWay } from './group-view.ts';
import type { MemberRecord } from './member-record.ts';
import { nodesToAdd } from './nodes-to-add.ts';
import type { RingMeta } from './ring-meta.ts';
import type { Timing } from './timing.ts';

export type ScaleDecision =
  | {
      readonly kind: 'scaleOut';
      /** Absolute, so that carrying it out twice adds no node. */
      readonly desiredCapacity: number;
      readonly why: string;
      readonly fullestPercent: number;
      /** How full the fullest will be with the newcomers; undefined when nobody has reported where its bytes are. */
      readonly expectedPercent: number | undefined;
    }
  | { readonly kind: 'skip'; readonly reason: SkipReason; readonly why: string };
export type SkipReason =
  | 'noRing'
  | 'teardown'
  | 'duplicate'
  | 'telling'
  | 'joining'
  | 'cooldown'
  | 'bytesFit'
  | 'max';

export interface ScalingSituation {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly group: GroupView;
  /** What triggered it: the alarm's timestamp, or the reconciler's minute. The same trigger never adds twice. */
  readonly scaleKey: string;
  readonly thresholdPercent: number;
  readonly timing: Pick<Timing, 'scaleCooldownMs'>;
  readonly nowMs: number;
}

/**
 * How large the group should be while the disk alarm is in ALARM. As many nodes as the bytes need, at least one; never
 * while a member is still on its way, because its relief is not in the numbers yet. Once it is ACTIVE the numbers are
 * those of the arcs, which change at once, not those of the disks, which are tidied up later.
 */
export function decideScaleOut(situation: ScalingSituation): ScaleDecision {
  const { meta, members, group, scaleKey } = situation;
  if (meta.status === 'TEARDOWN') return skip('teardown', 'the stage is being removed');
  if (meta.status !== 'ACTIVE') return skip('noRing', 'there is no ring yet');
  if (meta.scaleKey === scaleKey) return skip('duplicate', 'this trigger has had its decision');
  if (meta.scaleInVictim !== '')
    return skip('telling', `${meta.scaleInVictim} is being taken out of the group`);
  if (meta.scalePending)
    return skip('telling', `the group is being told to have ${meta.scaleTarget} instances`);
  const onTheWay = whoIsOnTheWay(members, group);
  if (onTheWay !== undefined) return skip('joining', onTheWay);
  const seen = observeFullness(situation);
  if (seen.waitsFor !== undefined) return skip('cooldown', seen.waitsFor);
  if (!seen.isOver)
    return skip('bytesFit', `${seen.who}, below the threshold of ${situation.thresholdPercent} %`);
  if (group.desiredCapacity >= group.maxSize)
    return skip('max', `${seen.who}, but MaxSize is ${group.maxSize}`);
  return decideSize(situation, seen);
}

function skip(reason: SkipReason, why: string): ScaleDecision {
  return { kind: 'skip', reason, why };
}

function decideSize({ group, thresholdPercent }: ScalingSituation, seen: Fullness): ScaleDecision {
  const { desiredCapacity, maxSize } = group;
  const size = nodesToAdd(seen, { thresholdPercent, desiredCapacity, maxSize });
  return {
    kind: 'scaleOut',
    desiredCapacity: desiredCapacity + size.count,
    fullestPercent: roundPercent(seen.fullestPercent),
    expectedPercent: size.expectedPercent,
    why: `${seen.who}, the threshold is ${thresholdPercent} %: ${size.why}`,
  };
}
