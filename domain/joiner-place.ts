import type { PlacementMember } from './arc-loads.ts';
import type { Identifier } from './identifier.ts';
import { isTerminal, type MemberRecord } from './member-record.ts';
import { choosePosition, mostStoredAt, type PlacementOptions } from './placement.ts';
import { asPlacementMember, type PlacedMember } from './serving-ring.ts';

/** What a place is chosen on. */
export interface PlacesSeen {
  readonly ringId: string;
  readonly members: readonly MemberRecord[];
  /** Positions of instances that are about to have them: they split their arcs already. */
  readonly claims: readonly Identifier[];
  /** Every position that is spoken for, by whomever. */
  readonly taken: readonly Identifier[];
}

export interface Newcomer {
  readonly instanceId: string;
  readonly availabilityZone: string;
}

/**
 * How much more the fullest member may store with the place that was chosen when the instance launched than with the
 * best one now, before the newcomer takes another. The same as a median that has drifted to 60/40: less, and
 * newcomers would change places for noise; more, and the fullest would be relieved of little.
 */
const DRIFT_TOLERANCE = 0.2;

/** The best place for a newcomer; undefined when no arc is wide enough to split. */
export function placeFor(newcomer: Newcomer, seen: PlacesSeen): Identifier | undefined {
  return choosePosition(optionsFor(newcomer, seen));
}

/**
 * Whether a place chosen some minutes ago still serves, now that the newcomer is about to be admitted: bytes have
 * moved meanwhile, and the member it was to relieve may be gone.
 */
export function isPlaceStillGood(position: Identifier, newcomer: Newcomer, seen: PlacesSeen): boolean {
  const options = optionsFor(newcomer, seen);
  const best = choosePosition(options);
  if (best === undefined) return true;
  return mostStoredAt(position, options) <= mostStoredAt(best, options) * (1 + DRIFT_TOLERANCE);
}

function optionsFor({ instanceId, availabilityZone }: Newcomer, seen: PlacesSeen): PlacementOptions {
  const { members, ringId, claims, taken } = seen;
  const placed = members.flatMap((member): PlacedMember[] => {
    const { position, state } = member;
    const belongs = member.ringId === ringId && !isTerminal(state) && member.instanceId !== instanceId;
    return belongs && position !== undefined ? [{ ...member, position }] : [];
  });
  const owners = placed.filter(({ state }) => state !== 'LEAVING').map(asPlacementMember);
  // A position that is claimed but whose row is not written yet splits its arc already: two joiners never share one.
  const known = new Set(placed.map(({ position }) => position));
  const claimed = [...new Set(claims)].filter((id) => !known.has(id));
  return {
    members: [...owners, ...claimed.map((id): PlacementMember => ({ id, capacityBytes: 0, arcWeights: [] }))],
    departed: placed.filter(({ state }) => state === 'LEAVING').map(asPlacementMember),
    taken: new Set([...known, ...taken]),
    newcomerZone: availabilityZone,
  };
}
