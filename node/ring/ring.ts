import type { Identifier } from '../../domain/identifier.ts';
import type { MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';

/** One node's view of the ring at one moment. */
export interface RingSnapshot {
  /** Grows with every change of `members`. Local to this node. */
  readonly version: number;
  readonly ringId: string;
  readonly self: RingMember;
  /** Every member this node believes in, itself included, ascending by id; none with phase `left`. */
  readonly members: readonly RingMember[];
}

/** What the layers above the protocol may ask of the ring. Implemented over sockets, and by a fake in tests. */
export interface Ring {
  snapshot(): RingSnapshot;
  /**
   * Whether this node may answer for `key` now: it is the owner among the members that serve, its take-over of the
   * arc is complete, and its lease from its successor has not run out. At most one node answers true at a time.
   */
  owns(key: Identifier): boolean;
  /**
   * The owner of `key`, confirmed by the owner itself, and the replicas after it.
   * @throws ChordfsError `PEER_UNREACHABLE` or `DEADLINE_EXCEEDED` when nobody confirmed before the signal fired.
   */
  lookup(key: Identifier, options: { readonly signal: AbortSignal }): Promise<{ readonly owner: RingMember }>;
  /** A call failed or timed out; the failure detector will look into it. Never drops the member by itself. */
  suspect(member: RingMember): void;
  /** Calls `listener` after each change of the snapshot, in order; returns how to stop. */
  onChange(listener: (snapshot: RingSnapshot) => void): () => void;
  /**
   * Changes this node's own phase, in this order: `joining` -> `active` once it holds everything (its successor has
   * then given the arc up), `active` -> `draining`, `draining` -> `left` once everything is handed over.
   * Resolves when the member that gives up or takes over the arc has confirmed. Safe to repeat.
   */
  enter(phase: MemberPhase, options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Registers the check that must pass before this node speaks for an arc it gained by another's death: the
   * records of that arc have been compared with its live replicas. The ring calls it; `owns` is false until then.
   */
  beforeTakeOver(
    check: (
      arc: { readonly from: Identifier; readonly to: Identifier },
      signal: AbortSignal,
    ) => Promise<void>,
  ): void;
}
