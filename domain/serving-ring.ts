import type { PlacementMember } from './arc-loads.ts';
import type { Identifier } from './identifier.ts';
import type { MemberRecord } from './member-record.ts';

/** A row with a place on the ring. */
export type PlacedMember = MemberRecord & { readonly position: Identifier };

/** The members that own arcs of this ring by the table, in ring order: ACTIVE and LEAVING. */
export function servingRing(members: readonly MemberRecord[], ringId: string): readonly PlacedMember[] {
  return members
    .flatMap((member) => {
      const { position, state } = member;
      const serves = (state === 'ACTIVE' || state === 'LEAVING') && member.ringId === ringId;
      return serves && position !== undefined ? [{ ...member, position }] : [];
    })
    .sort((a, b) => a.position - b.position);
}

/**
 * Those whose own report names other neighbours than the table: it is older than the last change of the ring next to
 * them, or they see another ring. No clock is compared, so skewed ones do not matter.
 */
export function outdatedReports(ring: readonly PlacedMember[]): readonly PlacedMember[] {
  return ring.filter(({ position, usage }, index) => {
    const predecessor = ring.at(index - 1)?.position ?? position;
    const successor = ring[(index + 1) % ring.length]?.position ?? position;
    return usage?.predecessorId !== predecessor || usage.successorId !== successor;
  });
}

/** What placement works on, of members that stay. */
export function asPlacementMember({ position, usage, availabilityZone }: PlacedMember): PlacementMember {
  return {
    id: position,
    capacityBytes: usage?.capacityBytes ?? 0,
    predecessorId: usage?.predecessorId,
    arcWeights: usage?.arcWeights ?? [],
    availabilityZone,
  };
}
