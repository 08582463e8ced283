import type { Identifier } from '../../domain/identifier.ts';
import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Answer, Request } from './message.ts';

/**
 * Why a call failed. `refused`: nothing listens at the address. `reset`: the connection broke. Both say that the
 * process is gone; `timeout` says nothing for sure.
 */
export type FailureEvidence = 'refused' | 'reset' | 'timeout';

/** What the clock and the dice show at the moment of an event. */
export interface Instant {
  /** Monotonic, ms; any origin. Never goes back within one life of the process. */
  readonly nowMs: number;
  /** Uniform in [0, 1), fresh for every event. */
  readonly random: number;
}

/** What happens to a node. The runner serialises events: one step ends before the next begins. */
export type ChordEvent =
  /** `wakeAtMs` of the state has been reached. Waking too early is harmless. */
  | { readonly kind: 'woken' }
  /** A peer called. `callId` is the runner's own and comes back in one `answer` effect, now or later, or never. */
  | { readonly kind: 'received'; readonly callId: number; readonly request: Request }
  /** A call of ours (the core's `callId`) was answered. */
  | { readonly kind: 'answered'; readonly callId: number; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly callId: number; readonly evidence: FailureEvidence }
  /** A standing connection to a peer broke: a hint to look at once, not a proof. */
  | { readonly kind: 'connectionLost'; readonly instanceId: string }
  | { readonly kind: 'registryAnswered'; readonly requestId: number; readonly answer: RegistryAnswer }
  /** The records of an arc that was taken over have been compared with its live replicas. */
  | { readonly kind: 'takeOverChecked'; readonly checkId: number }
  | { readonly kind: 'commanded'; readonly command: Command };

export type Command =
  /** Start a ring of one. Only the winner of the genesis claim, or a test, does. Owns the whole circle at once. */
  | { readonly kind: 'create' }
  /** Join as a newcomer (phase `joining`) through any of these members. Retries for ever, until `joined`. */
  | { readonly kind: 'join'; readonly contacts: readonly Member[] }
  /**
   * Return after a restart, with an incarnation higher than before, when the ring may still count on us. Ends in
   * `resumed`, or in `replaced` when the arc is another's by now: then `join`. `members`: the last view on disk.
   */
  | { readonly kind: 'resume'; readonly contacts: readonly Member[] }
  /** Every member of the ring restarts: take up places by this list (all ACTIVE members, self included). */
  | { readonly kind: 'coldStart'; readonly members: readonly Member[] }
  /** Find the owner of `key`; ends in one `lookupEnded` with the same `lookupId`. */
  | { readonly kind: 'lookup'; readonly lookupId: number; readonly key: Identifier }
  /** The caller does not wait for that lookup any longer. No `lookupEnded` follows. */
  | { readonly kind: 'abandonLookup'; readonly lookupId: number }
  /** `active` (from joining), `draining`, `left`. Ends in `entered` with that phase. Safe to repeat. */
  | { readonly kind: 'enter'; readonly phase: MemberPhase }
  /** A layer above had trouble with that member: look at it now. */
  | { readonly kind: 'suspect'; readonly instanceId: string };

/** Asked of the member table (`Registry`). Each is answered once; `unavailable` when the table cannot be reached. */
export type RegistryRequest =
  /** Answered `members`. The table is a superset of the ring: who is not in it is no member any more. */
  | { readonly kind: 'members' }
  /** The one admission lease of the ring. Answered `admissionGranted` or `admissionBusy`. Also renews it. */
  | { readonly kind: 'acquireAdmission' }
  | { readonly kind: 'releaseAdmission' }
  /** One conditional write decides which of two that cannot reach each other goes on. Answered `arbitrated`. */
  | { readonly kind: 'arbitrate'; readonly against: readonly Member[] }
  /** For the record: that life is over, and on which evidence. Answered `done`; the ring does not wait for it. */
  | { readonly kind: 'voteDead'; readonly member: Member; readonly evidence: 'refused' | 'silent' };

export type RegistryAnswer =
  | { readonly kind: 'members'; readonly members: readonly RingMember[] }
  /** `fence` grows with every grant to another holder. */
  | { readonly kind: 'admissionGranted'; readonly fence: number }
  | { readonly kind: 'admissionBusy' }
  | { readonly kind: 'arbitrated'; readonly isWon: boolean }
  | { readonly kind: 'done' }
  | { readonly kind: 'unavailable' };

/** What the runner is asked to do, in order. */
export type ChordEffect =
  /**
   * Ends in one `answered` or `failed` event with the same `callId`, at most about `timeoutMs` later; sooner when
   * the runner's estimate of the round trip says so. Connecting counts. When another life or another instance than
   * `to` answers at that address, the call fails with `refused`: the life it was meant for is over.
   */
  | {
      readonly kind: 'call';
      readonly callId: number;
      readonly to: Member;
      readonly request: Request;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'answer'; readonly callId: number; readonly answer: Answer }
  | { readonly kind: 'askRegistry'; readonly requestId: number; readonly request: RegistryRequest }
  /** Compare the records of (from, to] with their live replicas, then report `takeOverChecked`. May repeat. */
  | {
      readonly kind: 'checkTakeOver';
      readonly checkId: number;
      readonly from: Identifier;
      readonly to: Identifier;
    }
  | { readonly kind: 'lookupEnded'; readonly lookupId: number; readonly outcome: LookupOutcome }
  /** The members or phases this node believes in changed: take a new snapshot, and persist it. */
  | { readonly kind: 'viewChanged' }
  /** The newcomer is in the pointers, phase `joining`. */
  | { readonly kind: 'joined' }
  /** The restarted member has its place back. */
  | { readonly kind: 'resumed' }
  | { readonly kind: 'entered'; readonly phase: MemberPhase }
  /** Others took this node's arc over while it was away. It says "mine" no more and must `join` again, incarnation + 1. */
  | { readonly kind: 'replaced' };

export type LookupOutcome =
  /** `hops`: members asked, the confirming owner included; 0 when this node owns the key itself. */
  | { readonly kind: 'found'; readonly owner: RingMember; readonly hops: number; readonly timeouts: number }
  /** Nobody confirmed within the hop budget; the runner may ask again while its signal allows. */
  | { readonly kind: 'unconfirmed'; readonly hops: number; readonly timeouts: number };
