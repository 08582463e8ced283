import type { Identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { ChordConfig } from './config.ts';
import type { ChordEffect, ChordEvent, Instant } from './event.ts';

/** Everything one node knows. Opaque to the runner, which asks through the functions below. */
export interface NodeState {
  readonly config: ChordConfig;
  readonly self: Member;
  /** Deliver `woken` at this moment (of `Instant.nowMs`). Changes with every step; Infinity: nothing is due. */
  readonly wakeAtMs: number;
}

export interface Step {
  readonly state: NodeState;
  readonly effects: readonly ChordEffect[];
}

export function createNode(self: Member, config: ChordConfig): NodeState {
  return { self, config, wakeAtMs: Number.POSITIVE_INFINITY };
}

/** One transition. Pure: equal arguments, equal results. Never throws on anything a peer may say. */
export function step(state: NodeState, _event: ChordEvent, _instant: Instant): Step {
  return { state, effects: [] };
}

/** Whether this node may say "mine" at that moment: the arc is its own, checked, and its lease is valid. */
export function owns(_state: NodeState, _key: Identifier, _nowMs: number): boolean {
  return false;
}

/** The members this node believes in, itself included, ascending by id; none that left. */
export function membersOf(_state: NodeState): readonly RingMember[] {
  return [];
}

/** The neighbours by the ring's pointers, joining members included: what `get_predecessor` and `get_successor` tell. */
export function neighboursOf(_state: NodeState): {
  readonly predecessor: Member | undefined;
  readonly successorList: readonly Member[];
} {
  return { predecessor: undefined, successorList: [] };
}
