import type { RingMember } from '../../domain/replica-placement.ts';

/** The right to be admitted, one holder at a time in the whole ring. */
export interface AdmissionLease {
  /** Grows with every grant: a member refuses an admission whose fence is below one it has seen. */
  readonly fence: number;
  /** Counted from the moment before `acquire` or `renew` was called. */
  readonly ttlMs: number;
}

/** One life of one member. The incarnation keeps a late message about an earlier life from touching a later one. */
export interface MemberLife {
  readonly instanceId: string;
  readonly incarnation: number;
}

/**
 * What the ring needs of the member table, and nothing more. The ring runs without it: every call may throw
 * `PEER_UNREACHABLE` (the table is down), and then nothing joins, nobody is declared dead by arbitration, and
 * everything else goes on. All calls are safe to repeat.
 *
 * The table holds a superset of the ring at all times: `Membership.startJoining` writes a member's row before the ring
 * admits it, and the row goes only after the member has left the ring or its death is confirmed. Readers therefore
 * probe before they adopt anybody from it.
 */
export interface Registry {
  /** Every registered member with its phase; none that is `left` or confirmed dead. */
  liveMembers(signal: AbortSignal): Promise<readonly RingMember[]>;

  /** Undefined while somebody else holds it. The holder itself is given its own lease again, renewed. */
  acquireAdmission(holder: MemberLife, signal: AbortSignal): Promise<AdmissionLease | undefined>;
  /** Undefined when it ran out and went to another: the holder must stop at once. */
  renewAdmission(
    holder: MemberLife,
    lease: AdmissionLease,
    signal: AbortSignal,
  ): Promise<AdmissionLease | undefined>;
  releaseAdmission(holder: MemberLife, lease: AdmissionLease, signal: AbortSignal): Promise<void>;

  /**
   * One voter's word that a member is dead. Votes count for 60 s. The death is confirmed by two distinct voters, by
   * one whose `evidence` is `refused` (nothing listens there any more), or by the instance being gone.
   */
  voteDead(
    vote: {
      readonly suspect: MemberLife;
      readonly voter: MemberLife;
      readonly evidence: 'refused' | 'silent';
    },
    signal: AbortSignal,
  ): Promise<'noted' | 'dead'>;

  /**
   * For a ring of two (or a member cut off from all others), where nobody else can confirm: one conditional write
   * decides who goes on alone. `won`: the others named are declared dead, and this one may take over once the lease
   * it granted has surely run out. `lost`: this one is the one declared dead; it must stop answering and rejoin.
   */
  arbitrate(
    claim: { readonly claimant: MemberLife; readonly against: readonly MemberLife[] },
    signal: AbortSignal,
  ): Promise<'won' | 'lost'>;
}
