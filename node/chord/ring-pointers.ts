import { clockwiseDistance, type Identifier, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { Corrections } from './config.ts';

/**
 * One member's place in the ring: Zave's `prdc` and successor list, with the departures that rings below r+1 members
 * need (docs/protocol.md): lists end at self instead of being padded, a dead predecessor is kept but marked.
 */
export interface RingPointers {
  readonly predecessor: Member | undefined;
  readonly predecessorIsDead: boolean;
  /** Clockwise, nearest first. Without self and without doubles, at most r; empty for a member alone. */
  readonly successorList: readonly Member[];
}

export const NO_POINTERS: RingPointers = {
  predecessor: undefined,
  predecessorIsDead: false,
  successorList: [],
};

export interface ListRules {
  readonly self: Member;
  readonly length: number;
  readonly corrections: Corrections;
}

/** The list after a successor answered: itself, then its own list, cut off where the circle closes. */
export function successorListFrom(
  head: Member,
  rest: readonly Member[],
  rules: ListRules,
): readonly Member[] {
  const { self, length, corrections } = rules;
  if (!corrections.truncateAtSelf) return [head, ...rest].slice(0, length);
  const list: Member[] = [];
  let reached = 0;
  for (const member of [head, ...rest]) {
    const distance = clockwiseDistance(self.id, member.id);
    // Distances must grow: a list that reaches self, or turns back, has gone once round the circle.
    if (distance <= reached || list.length === length) break;
    list.push(member);
    reached = distance;
  }
  return list;
}

/** The list without a member that is dead, gone, or known by a newer life. */
export function withoutMember(list: readonly Member[], instanceId: string): readonly Member[] {
  return list.some((member) => member.instanceId === instanceId)
    ? list.filter((member) => member.instanceId !== instanceId)
    : list;
}

/**
 * Rectify (TSE 2017, section III): a notifier replaces a predecessor that is farther away, dead or unknown; any
 * other notifier is left alone. The notifier has just contacted us, so nobody is adopted unseen.
 */
export function rectify(
  pointers: RingPointers,
  notifier: Member,
  self: Member,
  checks: boolean,
): RingPointers {
  const { predecessor, predecessorIsDead } = pointers;
  if (notifier.id === self.id) return pointers;
  const adopts =
    !checks ||
    predecessor === undefined ||
    predecessorIsDead ||
    predecessor.id === self.id ||
    notifier.id === predecessor.id ||
    inOpenArc(notifier.id, predecessor.id, self.id);
  if (!adopts) return pointers;
  if (predecessor !== undefined && !predecessorIsDead && sameLife(predecessor, notifier)) return pointers;
  return { ...pointers, predecessor: notifier, predecessorIsDead: false };
}

export function sameLife(a: Member, b: Member): boolean {
  return a.id === b.id && a.instanceId === b.instanceId && a.incarnation === b.incarnation;
}

/** 0 is kept for "none known". */
export function pointersDigest(
  pointers: RingPointers,
  arcFrom: Identifier | undefined,
  isAdmitting: boolean,
): number {
  let hash = 0x811c9dc5;
  const mix = (value: number) => {
    hash = Math.imul(hash ^ value, 0x01000193);
    hash ^= hash >>> 15;
  };
  mix(pointers.predecessor?.id ?? 1);
  mix(pointers.predecessor?.incarnation ?? 1);
  mix(pointers.predecessorIsDead ? 2 : 3);
  for (const { id, incarnation } of pointers.successorList) {
    mix(id);
    mix(incarnation);
  }
  mix(arcFrom ?? 5);
  mix(arcFrom === undefined ? 7 : 11);
  mix(isAdmitting ? 13 : 17);
  return hash >>> 0 || 1;
}
