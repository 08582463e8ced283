import type { MemberRecord } from './member-record.ts';
import { type RingLoad, storedBytes } from './resize-plan.ts';
import type { RingMeta } from './ring-meta.ts';
import { asPlacementMember, outdatedReports, type PlacedMember, servingRing } from './serving-ring.ts';
import type { Timing } from './timing.ts';

/**
 * The alarm sees the file system, the heartbeats what the store put there: the file system's own needs are the
 * difference. A fullest member this close below the threshold is what the alarm means.
 */
const ALARM_MARGIN_PERCENT = 5;
/** Reports may lag behind the disks by a lot while data moves; a plan must not multiply that. */
const MOST_OVERHEAD = 1.5;

export interface FullnessSituation {
  readonly meta: Pick<RingMeta, 'ringId'>;
  readonly members: readonly MemberRecord[];
  readonly thresholdPercent: number;
  readonly timing: Pick<Timing, 'scaleCooldownMs'>;
  readonly nowMs: number;
}

/** How full the ring is, and how far that can be relied on. */
export interface Fullness {
  readonly load: RingLoad;
  readonly isOver: boolean;
  readonly fullestPercent: number;
  /** Who is the fullest, and how full, for the log. */
  readonly who: string;
  readonly overhead: number;
  /** Why no number is to be trusted yet; undefined: they can be. */
  readonly waitsFor: string | undefined;
}

export function observeFullness(situation: FullnessSituation): Fullness {
  const { meta, members, thresholdPercent, timing, nowMs } = situation;
  const ring = servingRing(members, meta.ringId);
  const staying = ring.filter(({ state }) => state === 'ACTIVE');
  const load = {
    members: staying.map(asPlacementMember),
    departed: ring.filter(({ state }) => state === 'LEAVING').map(asPlacementMember),
  };
  const newest = Math.max(0, ...staying.map(({ stateMs }) => stateMs));
  // At the latest then the disks are tidy and everybody has reported, or never will.
  const isSettling = nowMs - newest < timing.scaleCooldownMs;
  const stored = storedBytes(load);
  const overheadOf = isSettling ? 1 : overheadBetween(staying, stored);
  const shares = staying.map((member) => shareOf(member, { stored, isSettling }));
  const fullest = shares.reduce((best, next) => (next.percent > best.percent ? next : best), {
    instanceId: '',
    percent: 0,
  });
  const hasReports = staying.some(({ usage }) => usage !== undefined);
  const isOver = !hasReports || fullest.percent >= thresholdPercent - (isSettling ? 0 : ALARM_MARGIN_PERCENT);
  const outdated = isSettling ? outdatedReports(ring) : [];
  return {
    load,
    isOver,
    fullestPercent: fullest.percent,
    who: hasReports
      ? `${fullest.instanceId} stores ${roundPercent(fullest.percent)} % of its volume`
      : 'nobody has reported its usage',
    overhead: Math.max(
      overheadOf,
      isOver && hasReports ? thresholdPercent / Math.max(fullest.percent, 1) : 1,
    ),
    waitsFor: waitsFor({ situation, outdated, staying, isOver, isSettling, who: fullest }),
  };
}

/** The cooldown: from the newcomers' activation until the numbers tell of the ring with them in it. */
function waitsFor(seen: {
  readonly situation: FullnessSituation;
  readonly outdated: readonly PlacedMember[];
  readonly staying: readonly PlacedMember[];
  readonly isOver: boolean;
  readonly isSettling: boolean;
  readonly who: { readonly instanceId: string; readonly percent: number };
}): string | undefined {
  const { situation, outdated, staying, isOver, isSettling, who } = seen;
  if (!isSettling) return undefined;
  const [silent] = outdated;
  if (silent !== undefined && staying.some(({ usage }) => usage !== undefined)) {
    return `${silent.instanceId} has not reported since the ring last changed`;
  }
  const onDisk = staying.find((member) => usedPercent(member) >= situation.thresholdPercent);
  return onDisk === undefined || isOver
    ? undefined
    : `${onDisk.instanceId} still has ${roundPercent(usedPercent(onDisk))} % on its disk, but keeps ${roundPercent(who.percent)} % or less of it: what it handed over is being dropped`;
}

function shareOf(
  member: PlacedMember,
  by: { readonly stored: ReadonlyMap<number, number>; readonly isSettling: boolean },
): { readonly instanceId: string; readonly percent: number } {
  const { instanceId, usage, position } = member;
  const capacity = usage?.capacityBytes ?? 0;
  const byArcs = capacity > 0 ? (100 * (by.stored.get(position) ?? 0)) / capacity : 0;
  const knowsArcs = (usage?.arcWeights.length ?? 0) > 0;
  return { instanceId, percent: by.isSettling && knowsArcs ? byArcs : Math.max(byArcs, usedPercent(member)) };
}

function usedPercent({ usage }: MemberRecord): number {
  return usage === undefined || usage.capacityBytes <= 0 ? 0 : (100 * usage.usedBytes) / usage.capacityBytes;
}

/** How many bytes lie on the disks for each byte that the arcs account for. */
function overheadBetween(staying: readonly PlacedMember[], stored: ReadonlyMap<number, number>): number {
  const used = staying.reduce((sum, { usage }) => sum + (usage?.usedBytes ?? 0), 0);
  const accounted = staying.reduce((sum, { position }) => sum + (stored.get(position) ?? 0), 0);
  return accounted > 0 ? Math.min(MOST_OVERHEAD, Math.max(1, used / accounted)) : 1;
}

/** One decimal is what a person reads, and more than the reports are worth. */
export function roundPercent(percent: number): number {
  return Math.round(percent * 10) / 10;
}
