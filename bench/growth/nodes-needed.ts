import type { PlacementMember } from '../../domain/arc-loads.ts';
import { clockwiseDistance, type Identifier, identifier } from '../../domain/identifier.ts';
import { planGrowth } from '../../domain/resize-plan.ts';

/** Larger rings are not asked about. */
const MOST_NODES = 60;

/**
 * The fewest nodes that hold the ring's bytes with nobody above `limit` of its capacity, had they been given their
 * places for these bytes from the beginning: the ideal that a group which grew step by step is compared with.
 */
export function nodesNeeded(members: readonly PlacementMember[], limit: number): number {
  const [anchor] = members;
  if (anchor === undefined) throw new Error('an empty ring has no bytes');
  // The anchor's own identifier ends its arc, and so comes last.
  const place = (id: Identifier): number => clockwiseDistance(identifier(anchor.id + 1), id);
  const arcWeights = members
    .flatMap((member) => member.arcWeights)
    .sort((a, b) => place(a.upTo) - place(b.upTo));
  const alone = { ...anchor, predecessorId: anchor.id, arcWeights };
  return 1 + planGrowth({ members: [alone], departed: [] }, { limit, most: MOST_NODES }).length;
}
