import { REPLICA_COUNT } from './file-record.ts';
import { observeFullness, roundPercent } from './fullness.ts';
import { type GroupView, whoIsOnTheWay } from './group-view.ts';
import type { MemberRecord } from './member-record.ts';
import { planShrink } from './resize-plan.ts';
import type { RingMeta } from './ring-meta.ts';
import { outdatedReports, type PlacedMember, servingRing } from './serving-ring.ts';
import type { Timing } from './timing.ts';

/**
 * The fullest of those that stay shall stay below this share of the threshold: what was taken out today must not be
 * asked for again tomorrow. Raised: fewer instances, and the group goes up and down.
 */
const LOW_WATER_SHARE = 0.75;

export type ScaleInDecision =
  | { readonly kind: 'stay'; readonly why: string }
  /** One member less would do; when that has lasted, this is the one. */
  | {
      readonly kind: 'shrink';
      readonly victim: PlacedMember;
      readonly why: string;
      readonly fullestPercent: number;
      readonly expectedPercent: number;
    };

export interface ScaleInSituation {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly group: GroupView;
  readonly thresholdPercent: number;
  readonly timing: Pick<Timing, 'scaleCooldownMs'>;
  readonly nowMs: number;
}

/**
 * Whether the group may do with one member less, and which: the one whose removal leaves the smallest maximum. Only in
 * a ring where nobody comes or goes and everybody reports, and only while the others hold everything well below the
 * threshold. A ring that holds files keeps R members, so that every file keeps its R copies; MinSize may ask for more.
 */
export function decideScaleIn(situation: ScaleInSituation): ScaleInDecision {
  const { meta, members, group, thresholdPercent } = situation;
  const obstacle = whatForbids(situation);
  if (obstacle !== undefined) return { kind: 'stay', why: obstacle };
  const { load, overhead, fullestPercent, who } = observeFullness(situation);
  const plan = planShrink(load);
  const victim = servingRing(members, meta.ringId).find(({ position }) => position === plan?.victim);
  if (plan === undefined || victim === undefined) return { kind: 'stay', why: 'this is the last member' };
  const expectedPercent = roundPercent(100 * plan.fullestAfter * overhead);
  const limit = LOW_WATER_SHARE * thresholdPercent;
  const outlook = `without ${victim.instanceId} the fullest would store ${expectedPercent} %`;
  if (expectedPercent > limit) return { kind: 'stay', why: `${outlook}, more than ${roundPercent(limit)} %` };
  return {
    kind: 'shrink',
    victim,
    why: `${who}; ${outlook}, and ${group.desiredCapacity - 1} members are enough`,
    fullestPercent: roundPercent(fullestPercent),
    expectedPercent,
  };
}

function whatForbids({ meta, members, group }: ScaleInSituation): string | undefined {
  if (meta.status !== 'ACTIVE') return `the ring is ${meta.status}`;
  if (meta.scalePending || meta.scaleInVictim !== '') return 'the group is being told of an earlier decision';
  const coming = whoIsOnTheWay(members, group);
  if (coming !== undefined) return coming;
  const ring = servingRing(members, meta.ringId);
  const leaving = ring.find(({ state }) => state === 'LEAVING');
  if (leaving !== undefined) return `${leaving.instanceId} is draining`;
  const absent = ring.find(({ instanceId }) => !isInService(group, instanceId));
  if (absent !== undefined) return `${absent.instanceId} is not in service`;
  const [silent] = outdatedReports(ring);
  if (silent !== undefined) return `${silent.instanceId} has not reported the ring as it is`;
  const floor = Math.max(group.minSize, holdsFiles(ring) ? REPLICA_COUNT : 1);
  if (group.desiredCapacity <= floor || ring.length <= floor)
    return `${floor} members are the fewest allowed`;
  return undefined;
}

function isInService({ instances }: GroupView, instanceId: string): boolean {
  return instances.some(
    (instance) => instance.instanceId === instanceId && instance.lifecycleState === 'InService',
  );
}

function holdsFiles(ring: readonly PlacedMember[]): boolean {
  return ring.some(
    ({ usage }) =>
      usage === undefined || usage.fileCount > 0 || usage.arcWeights.some(({ bytes }) => bytes > 0),
  );
}
