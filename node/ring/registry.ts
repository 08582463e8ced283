import type { Member } from '../../domain/member.ts';

/**
 * What the ring needs of the member table, and nothing more. The ring runs without it: every call may throw (the
 * table is away), and then nobody joins, a ring of two that loses its link does not choose, and everything else goes
 * on. All calls are safe to repeat.
 *
 * The table holds a superset of the ring at all times: `Membership.startJoining` writes a member's row before the ring
 * admits it, and the row goes only after the member has left the ring or its death is confirmed. Readers therefore
 * probe before they adopt anybody from it.
 *
 * A life is (instanceId, incarnation): what is said about an earlier life never touches a later one.
 */
export interface Registry {
  /**
   * `members`: all of this ring that may be in the pointers (rows ASSIGNED with an incarnation, JOINING, ACTIVE,
   * LEAVING). `dead`: those declared dead lately, so that a member that slept learns of its own burial.
   */
  members(signal: AbortSignal): Promise<RegisteredMembers>;

  /**
   * The right to be admitted, one holder at a time in the whole ring, until released or for `ADMISSION_LEASE_MS`.
   * The holder asks again to renew; it is then given the same fence. A grant to another has a greater one.
   */
  acquireAdmission(holder: Member, signal: AbortSignal): Promise<AdmissionAnswer>;
  /** Does nothing when that grant is over already. */
  releaseAdmission(holder: Member, fence: number, signal: AbortSignal): Promise<void>;

  /**
   * In a ring of two neither can ask a third, so one conditional write decides which of two that cannot reach each
   * other goes on. True: `suspect` is dead by the table (now, or already). False: `claimant` itself is.
   */
  declareDead(
    claim: { readonly claimant: Member; readonly suspect: Member },
    signal: AbortSignal,
  ): Promise<boolean>;

  /**
   * The ring has replaced `dead` on the evidence of several members or of a refused connection, so that the table
   * need not list it any longer. Resolves when noted.
   */
  reportDead(
    report: { readonly reporter: Member; readonly dead: Member },
    signal: AbortSignal,
  ): Promise<void>;
}

export interface RegisteredMembers {
  readonly members: readonly Member[];
  readonly dead: readonly Member[];
}

export type AdmissionAnswer =
  | { readonly kind: 'granted'; readonly fence: number }
  | { readonly kind: 'busy'; readonly retryAfterMs: number };

/** Long enough for any admission; short enough that a newcomer that dies in the middle does not stop growth. */
export const ADMISSION_LEASE_MS = 30_000;
