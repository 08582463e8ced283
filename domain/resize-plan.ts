import { ArcLoads, arcsOf, medianCapacity, type PlacementMember } from './arc-loads.ts';
import { type ByteMap, byteMap, type WeightedArc } from './byte-map.ts';
import type { Identifier } from './identifier.ts';
import { chooseOn } from './placement.ts';

/** Members with their bytes, as a decision about the group's size sees them. */
export interface RingLoad {
  readonly members: readonly PlacementMember[];
  readonly departed: readonly WeightedArc[];
}

/** What the fullest member stores, relative to its capacity; members that report nothing count as empty. */
export function fullestShare({ members, departed }: RingLoad): number {
  if (members.length === 0) return 0;
  const loads = loadsOn(byteMap(members, departed), members);
  return loads.ratio(loads.fullest());
}

/** What each member stores by the arcs, in bytes, by its id. */
export function storedBytes({ members, departed }: RingLoad): ReadonlyMap<Identifier, number> {
  if (members.length === 0) return new Map();
  const loads = loadsOn(byteMap(members, departed), members);
  const byId = [...members].sort((a, b) => a.id - b.id);
  return new Map(byId.map(({ id }, index) => [id, loads.stored(index)]));
}

/**
 * What the fullest member would store with 1, 2, ... `most` newcomers, each placed as it really would be: bytes stay
 * where they are, so the plan is exact up to the resolution of the reports. Ends early at the first size that leaves
 * the fullest below `limit`.
 */
export function planGrowth(
  { members, departed }: RingLoad,
  options: { readonly limit: number; readonly most: number },
): readonly number[] {
  const map = byteMap(members, departed);
  const grown = [...members];
  const shares: number[] = [];
  while (shares.length < options.most && (shares.at(-1) ?? Number.POSITIVE_INFINITY) >= options.limit) {
    const availabilityZone = rarestZone(grown);
    const position = chooseOn(map, { members: grown, newcomerZone: availabilityZone });
    if (position === undefined) break;
    grown.push({ id: position, capacityBytes: medianCapacity(members), arcWeights: [], availabilityZone });
    const loads = loadsOn(map, grown);
    shares.push(loads.ratio(loads.fullest()));
  }
  return shares;
}

/** Where Auto Scaling launches next: it keeps the zones even. */
function rarestZone(members: readonly PlacementMember[]): string {
  const counts = new Map<string, number>();
  for (const { availabilityZone = '' } of members) {
    counts.set(availabilityZone, (counts.get(availabilityZone) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1))[0]?.[0] ?? '';
}

/** The member whose removal leaves the fullest of the others with the least, and how full that one is then. */
export function planShrink({
  members,
  departed,
}: RingLoad): { readonly victim: Identifier; readonly fullestAfter: number } | undefined {
  if (members.length < 2) return undefined;
  const loads = loadsOn(byteMap(members, departed), members);
  const choices = [...members]
    .sort((a, b) => a.id - b.id)
    .map(({ id }, index) => ({
      id,
      stored: loads.ratio(index),
      fullestAfter: loads.without(index).mostStored,
    }))
    // Among equals the one with the least to hand over; what only rounding tells apart is equal.
    .sort((a, b) => coarse(a.fullestAfter) - coarse(b.fullestAfter) || a.stored - b.stored || a.id - b.id);
  const [best] = choices;
  return best === undefined ? undefined : { victim: best.id, fullestAfter: best.fullestAfter };
}

function coarse(share: number): number {
  return Math.round(share * 1e9);
}

function loadsOn(map: ByteMap, members: readonly PlacementMember[]): ArcLoads {
  return new ArcLoads(arcsOf(members, map), members, medianCapacity(members));
}
