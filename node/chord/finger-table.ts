/**
 * Where a member's fingers stand. The paper's start at self + 2^i and halve the way with each hop; these start at
 * self + j * 2^(b*i) for j = 1 .. 2^b - 1, the paper's own "powers of 1 + 1/d" (TON 2003, VII), so that a hop settles
 * b bits of the way and a ring of a thousand is crossed in two or three.
 */
import { clockwiseDistance, type Identifier, identifier, RING_SIZE } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Fingers } from './node-state.ts';

const ID_BITS = 32;

/** How far the finger numbered `slot` starts from self; undefined: there is none of that number. */
export function fingerDistance(slot: number, bits: number): number | undefined {
  const perLevel = 2 ** bits - 1;
  const level = Math.floor(slot / perLevel);
  const distance = ((slot % perLevel) + 1) * 2 ** (level * bits);
  return level * bits < ID_BITS && distance < RING_SIZE ? distance : undefined;
}

/** The first slot from `from` on that starts farther away than `covered`; undefined: there is none. */
export function slotBeyond(covered: number, from: number, bits: number): number | undefined {
  for (let slot = from; ; slot++) {
    const distance = fingerDistance(slot, bits);
    if (distance === undefined) return undefined;
    if (distance > covered) return slot;
  }
}

/** The fingers after a lookup found `owner` at the start of `slot`: it is the finger of every start up to itself. */
export function withFinger(
  { members }: Fingers,
  found: {
    readonly self: Identifier;
    readonly slot: number;
    readonly owner: RingMember;
    readonly bits: number;
  },
): Fingers {
  const { self, slot, owner, bits } = found;
  const reach = clockwiseDistance(self, owner.id) || RING_SIZE;
  const next = slotBeyond(reach, slot, bits) ?? 0;
  const isKept = (finger: { readonly slot: number }) =>
    finger.slot < slot || (next !== 0 && finger.slot >= next);
  const kept = members.filter(isKept);
  return { members: owner.id === self ? kept : [...kept, { slot, member: owner }], next };
}

/** The fingers without a member that is dead or gone. */
export function withoutFinger(fingers: Fingers, instanceId: string): Fingers {
  const isOther = ({ member }: { readonly member: RingMember }) => member.instanceId !== instanceId;
  return fingers.members.every(isOther) ? fingers : { ...fingers, members: fingers.members.filter(isOther) };
}

/** Where the finger numbered `slot` starts. */
export function fingerStart(self: Identifier, slot: number, bits: number): Identifier {
  return identifier(self + (fingerDistance(slot, bits) ?? 0));
}
