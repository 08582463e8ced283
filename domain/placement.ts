import {
  type Arc,
  ArcLoads,
  arcsOf,
  type LoadAfter,
  medianCapacity,
  type PlacementMember,
} from './arc-loads.ts';
import { type ByteMap, byteMap, type WeightedArc } from './byte-map.ts';
import { clockwiseDistance, type Identifier, identifier, inArc, RING_SIZE } from './identifier.ts';
import { sharedZoneWindows } from './zone-spread.ts';

/**
 * Where a newcomer goes: to the position that minimises the most bytes, relative to capacity, that any member will
 * store afterwards, replicas counted.
 *
 * With R copies a member stores its own arc and the R-1 before it. A newcomer X that takes x bytes of the arc of S
 * stores x and the R-1 arcs before; S and its next R-1 successors each shed one arc, of which only the last one's
 * relief (x itself) depends on where in the arc X stands. So in every arc the best x is where X's growing load meets
 * that last one's shrinking load, and trying every arc once finds the global best. Measured alternatives: hashing
 * needs about twice the members for the same bytes, bisecting the widest arc is blind to where the bytes are.
 */
export interface PlacementOptions {
  /** Everybody who has or will have an arc, ids distinct; those who own nothing yet report nothing. */
  readonly members: readonly PlacementMember[];
  /** Last reports of members that drain: their bytes go to their successors. */
  readonly departed?: readonly WeightedArc[];
  /** Further positions that are spoken for. */
  readonly taken?: ReadonlySet<Identifier>;
  readonly newcomerCapacityBytes?: number;
  readonly newcomerZone?: string;
}

/** Narrower arcs are not split: 2 x 8 identifiers leave no room for a second newcomer. */
const NARROWEST_ARC = 16;
/** Below this share of all capacity the bytes are noise: space is divided instead. */
const NEGLIGIBLE_SHARE = 0.002;
/** Relative difference below which two placements count as equally good, so that rounding decides nothing. */
const EQUAL = 1e-9;
/** How much fuller the fullest may become for the sake of copies in several zones. More would trade space for it. */
const ZONE_TOLERANCE = 0.15;

interface Candidate extends LoadAfter {
  readonly position: Identifier;
  readonly arc: Arc;
  /** Windows of R consecutive members that would lie in one zone. */
  readonly sharedWindows: number;
}

/** @returns undefined when no arc is wide enough to split. */
export function choosePosition(options: PlacementOptions): Identifier | undefined {
  const { members, departed = [], taken = new Set<Identifier>() } = options;
  if (members.length === 0) return firstFree(identifier(RING_SIZE / 2), identifier(RING_SIZE / 2 - 1), taken);
  return chooseOn(byteMap(members, departed), options);
}

/** The same on bytes that are known already: they do not move when members come, only their owners change. */
export function chooseOn(map: ByteMap, options: PlacementOptions): Identifier | undefined {
  const { members, taken = new Set<Identifier>() } = options;
  const arcs = arcsOf(members, map).filter(({ width }) => width >= NARROWEST_ARC);
  if (isNegligible(map, members)) return midpointOfWidest(arcs, taken);
  const loads = loadsOf(map, options);
  const candidates = arcs.flatMap((arc) => {
    const position = bestInArc(arc, loads, map, taken);
    return position === undefined ? [] : [candidateAt(position, { arc, loads, map, options })];
  });
  const least = Math.min(...candidates.map(({ mostStored }) => mostStored));
  const spread = candidates.filter(({ mostStored }) => mostStored <= least * (1 + ZONE_TOLERANCE));
  const fewest = Math.min(...spread.map(({ sharedWindows }) => sharedWindows));
  return spread
    .filter(({ sharedWindows }) => sharedWindows === fewest)
    .reduce<Candidate | undefined>(
      (best, next) => (best === undefined || isBetter(next, best) ? next : best),
      undefined,
    )?.position;
}

/** What the fullest member would store, relative to capacity, with the newcomer at this position. */
export function mostStoredAt(position: Identifier, options: PlacementOptions): number {
  const { members, departed = [] } = options;
  const map = byteMap(members, departed);
  const arc = arcsOf(members, map).find(({ from, to }) => inArc(position, from, to));
  if (arc === undefined) return 0;
  return candidateAt(position, { arc, loads: loadsOf(map, options), map, options }).mostStored;
}

function isNegligible(map: ByteMap, members: readonly PlacementMember[]): boolean {
  const totalCapacity = members.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0);
  return map.totalBytes <= totalCapacity * NEGLIGIBLE_SHARE;
}

function loadsOf(map: ByteMap, { members, newcomerCapacityBytes }: PlacementOptions): ArcLoads {
  return new ArcLoads(arcsOf(members, map), members, newcomerCapacityBytes ?? medianCapacity(members));
}

function candidateAt(
  position: Identifier,
  on: {
    readonly arc: Arc;
    readonly loads: ArcLoads;
    readonly map: ByteMap;
    readonly options: PlacementOptions;
  },
): Candidate {
  const { arc, loads, map, options } = on;
  const { members, newcomerZone = '' } = options;
  const sharedWindows = sharedZoneWindows(members, { id: position, availabilityZone: newcomerZone });
  return { position, arc, sharedWindows, ...loads.withNewcomer(arc, map.bytesIn(arc.from, position)) };
}

function midpointOfWidest(arcs: readonly Arc[], taken: ReadonlySet<Identifier>): Identifier | undefined {
  const widest = [...arcs].sort((a, b) => b.width - a.width || a.to - b.to);
  for (const arc of widest) {
    const free = firstFree(identifier(arc.from + Math.floor(arc.width / 2)), arc.to, taken);
    if (free !== undefined) return free;
  }
  return undefined;
}

/** The first position at or after `from` and before `end` that nobody has. */
function firstFree(
  from: Identifier,
  end: Identifier,
  taken: ReadonlySet<Identifier>,
): Identifier | undefined {
  for (let step = 0; step <= taken.size; step++) {
    const position = identifier(from + step);
    if (position === end) return undefined;
    if (!taken.has(position)) return position;
  }
  return undefined;
}

function bestInArc(
  arc: Arc,
  loads: ArcLoads,
  map: ByteMap,
  taken: ReadonlySet<Identifier>,
): Identifier | undefined {
  const share = loads.bestShare(arc);
  // An arc without bytes is divided by width; there the exact place matters only for what comes later.
  const wanted =
    arc.bytes > 0 ? map.pointAt(arc.from, arc.to, share) : identifier(arc.from + Math.floor(arc.width / 2));
  const offset = Math.min(Math.max(clockwiseDistance(arc.from, wanted), 1), arc.width - 1);
  return firstFree(identifier(arc.from + offset), arc.to, taken);
}

/** Most bytes first; then evenness over all; then the heavier, the wider, the first arc: a total order. */
function isBetter(a: Candidate, b: Candidate): boolean {
  const scale = Math.max(a.mostStored, b.mostStored, Number.MIN_VALUE);
  if (Math.abs(a.mostStored - b.mostStored) > EQUAL * scale) return a.mostStored < b.mostStored;
  if (Math.abs(a.sumOfSquares - b.sumOfSquares) > EQUAL * scale * scale)
    return a.sumOfSquares < b.sumOfSquares;
  if (Math.abs(a.arc.bytes - b.arc.bytes) > EQUAL * Math.max(a.arc.bytes, 1))
    return a.arc.bytes > b.arc.bytes;
  return a.arc.width !== b.arc.width ? a.arc.width > b.arc.width : a.position < b.position;
}
