import type { Identifier } from '../../domain/identifier.ts';
import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { ChordConfig } from './config.ts';
import type { ChordEffect } from './event.ts';
import type { MemberTable } from './member-table.ts';
import type { Pointers, Request } from './message.ts';
import type { RingPointers } from './ring-pointers.ts';

/**
 * Where a node stands. `outside`: not in a ring. `joining`: on its way into the pointers. `resuming`: back after a
 * restart, asking whether its place is still its own. `inside`: in the pointers. `replaced`: others took its place.
 * `gone`: it left.
 */
export type Standing = 'outside' | 'joining' | 'resuming' | 'inside' | 'replaced' | 'gone';

/** Everything one node knows. Immutable: a step returns a new one that shares what did not change. */
export interface NodeState {
  readonly config: ChordConfig;
  readonly self: Member;
  readonly standing: Standing;
  readonly phase: MemberPhase;
  readonly pointers: RingPointers;
  readonly table: MemberTable;
  readonly custody: Custody;
  /** Calls that wait for their answer, by call id. */
  readonly calls: ReadonlyMap<number, PendingCall>;
  /** Source of call, request and check ids: never used twice in one life. */
  readonly lastId: number;
  /** Members in doubt, by instance id. */
  readonly suspicions: ReadonlyMap<string, Suspicion>;
  readonly lookups: ReadonlyMap<number, LookupState>;
  /** Lookups for our own arc that wait until the lease is renewed. */
  readonly waiting: readonly WaitingLookup[];
  /** Recent changes of the table, oldest first: what stabilizes carry to both neighbours. */
  readonly news: readonly NewsItem[];
  readonly newsSequence: number;
  /** Sequence of the last news that each neighbour was told. */
  readonly told: ReadonlyMap<string, number>;
  /** Pointers a successor last answered with, so that it need not repeat them. */
  readonly heard:
    | { readonly instanceId: string; readonly digest: number; readonly pointers: Pointers }
    | undefined;
  /** Who last took us for its successor while its table was the same as ours, and when. */
  readonly agreed: { readonly member: Member; readonly atMs: number } | undefined;
  readonly join: JoinState | undefined;
  /** The phase asked for by the shell and not reached yet. */
  readonly entering:
    | { readonly phase: MemberPhase; readonly retryAtMs: number; readonly sinceMs: number }
    | undefined;
  /** The newcomer let in here, until it is our predecessor. */
  readonly admitting: { readonly member: Member; readonly untilMs: number } | undefined;
  readonly highestFence: number;
  readonly election: Election | undefined;
  readonly revival: Revival | undefined;
  /** Members for whose replacement we voted, with the end of our word: they get no vote from us until then. */
  readonly condemned: ReadonlyMap<string, number>;
  /** The table asked, by request id. */
  readonly registryRequests: ReadonlyMap<number, RegistryPurpose>;
  /** The registry's last answer; undefined until it answered. */
  readonly registered: Registered | undefined;
  /** Lives that asked for their old place just now, and so serve nothing: when, by instance id. */
  readonly resuming: ReadonlyMap<string, { readonly incarnation: number; readonly atMs: number }>;
  /** Lives whose end was told to the member table before their arcs were ours. */
  readonly reported: ReadonlySet<string>;
  /** Lives that ended, which could not be told while the member table was away: told again once it answers. */
  readonly untold: readonly Member[];
  readonly fingers: Fingers;
  /** Without the member table: our predecessor came in and does not serve yet, so our arc begins where it did before. */
  readonly newcomer: { readonly member: Member; readonly arcFrom: Identifier } | undefined;
  readonly schedule: Schedule;
  /** Deliver `woken` at this moment (of `Instant.nowMs`). Changes with every step; Infinity: nothing is due. */
  readonly wakeAtMs: number;
}

export interface Registered {
  /** Incarnation by instance id. */
  readonly lives: ReadonlyMap<string, number>;
  readonly serving: readonly Member[];
  readonly atMs: number;
}

/** The chain of arcs: who may say "mine" for what, and who grants leases to whom (docs/protocol.md, "Custody"). */
export interface Custody {
  /** This member's arc is (arcFrom, self]; undefined: it owns nothing. Equal to self's id: the whole circle. */
  readonly arcFrom: Identifier | undefined;
  /** Grows with every change of `arcFrom`. */
  readonly sequence: number;
  /** Parts of the arc taken over, whose records have not been compared yet. */
  readonly unchecked: readonly {
    readonly checkId: number;
    readonly from: Identifier;
    readonly to: Identifier;
  }[];
  /** Own lease: until when this member may say "mine", and until when it may grant. */
  readonly leaseUntilMs: number;
  readonly rightUntilMs: number;
  /** The only other serving member when the lease was last renewed; undefined: there were more, or none. */
  readonly pairedWith: Member | undefined;
  /** The member at `arcFrom`: the one whose leases come from here. Undefined for the owner of the whole circle. */
  readonly grantee: Grantee | undefined;
  /** Sequence of the arc that our own grantor has acknowledged. */
  readonly reportedSequence: number;
  /** The last arc given to a newcomer, kept to answer its repetition. */
  readonly ceded: Ceded | undefined;
  /** The arc is being handed over: nothing is answered for it any more. */
  readonly isHandingOver: boolean;
  /**
   * The arc grew while this member's own lease had run out, so it may have been replaced before that: it grants to
   * nobody until a lease, or the member table, says that it has not.
   */
  readonly isDoubtful: boolean;
  /** A hand-over failed without our knowing whether it was accepted; ends with the next lease. */
  readonly isUncertain: boolean;
}

export interface Grantee {
  readonly member: Member;
  /** The start of its own arc, as far as known. */
  readonly arcFrom: Identifier | undefined;
  /** It told us itself, rather than a member between us that is no more. */
  readonly isExact: boolean;
  readonly sequence: number;
  /** Bounds: after these it surely says "mine" no more, and grants no more. */
  readonly leaseUntilMs: number;
  readonly rightUntilMs: number;
  readonly heardAtMs: number;
  /** The one it grants to, as it told us: to stand in for it. */
  readonly next:
    | {
        readonly member: Member;
        readonly arcFrom: Identifier | undefined;
        readonly leaseUntilMs: number;
        readonly rightUntilMs: number;
      }
    | undefined;
}

export interface Ceded {
  readonly to: Member;
  readonly from: Identifier;
  readonly grantee: Grantee | undefined;
  /** `Custody.sequence` right after it was given: must be reported before the newcomer is told. */
  readonly sequence: number;
  /** The newcomer has been told, so that from now on it may be the one that grants. */
  readonly isTold: boolean;
}

export const NO_CUSTODY: Custody = {
  arcFrom: undefined,
  sequence: 0,
  unchecked: [],
  leaseUntilMs: Number.NEGATIVE_INFINITY,
  rightUntilMs: Number.NEGATIVE_INFINITY,
  pairedWith: undefined,
  grantee: undefined,
  reportedSequence: 0,
  ceded: undefined,
  isHandingOver: false,
  isDoubtful: false,
  isUncertain: false,
};

export interface PendingCall {
  readonly to: Member;
  readonly request: Request;
  readonly sentAtMs: number;
  readonly purpose: Purpose;
}

/** What a call was for: decides what its answer, or its failure, leads to. */
export type Purpose =
  | { readonly kind: 'stabilize'; readonly newsSequence: number }
  /** A member said to be closer than our successor, asked before it is adopted. */
  | { readonly kind: 'candidate'; readonly newsSequence: number }
  | { readonly kind: 'lease'; readonly newsSequence: number }
  | { readonly kind: 'probe' }
  | { readonly kind: 'probeVia'; readonly suspect: Member }
  /** We probe for somebody else: its call is answered with what we see. */
  | { readonly kind: 'relay'; readonly callId: number }
  | { readonly kind: 'announce'; readonly rest: readonly RingMember[]; readonly until: Identifier }
  | { readonly kind: 'exchange' }
  | { readonly kind: 'lookup'; readonly lookupId: number }
  | { readonly kind: 'join'; readonly attempt: number }
  | { readonly kind: 'survey'; readonly attempt: number; readonly expected: Expected }
  | { readonly kind: 'activate' }
  | { readonly kind: 'handOver' }
  | { readonly kind: 'resume'; readonly hops: number }
  | { readonly kind: 'vote'; readonly round: number }
  | { readonly kind: 'revive'; readonly round: number }
  | { readonly kind: 'farewell' };

/** Where a member should stand when the ring is ideal: by the surveyor's table. */
export interface Expected {
  readonly predecessor: Member | undefined;
  readonly successorList: readonly Member[];
}

export interface Suspicion {
  readonly member: Member;
  readonly failures: number;
  readonly refusals: number;
  readonly lastRefusalMs: number;
  readonly nextProbeMs: number;
  readonly probes: number;
  /** Indirect probes still under way; undefined: not asked yet. */
  readonly indirect: number | undefined;
  /** Undefined: still in doubt. */
  readonly verdict: 'refused' | 'silent' | undefined;
  readonly verdictAtMs: number;
}

/** The part of the circle, in clockwise distance from self and without its ends, in which the key's owner may lie. */
export interface Bracket {
  readonly after: number;
  readonly before: number;
}

export interface LookupState {
  readonly key: Identifier;
  /** Members asked, by instance id. */
  readonly asked: ReadonlySet<string>;
  readonly suspects: readonly string[];
  /** Best first. */
  readonly candidates: readonly RingMember[];
  readonly hops: number;
  readonly timeouts: number;
  readonly bracket: Bracket;
  /** Waits until then before it asks again; undefined: a call is under way. */
  readonly retryAtMs: number | undefined;
  /** Internal: the finger this lookup is to find. */
  readonly finger: number | undefined;
}

export interface WaitingLookup {
  /** The caller's call, or our own lookup. */
  readonly callId: number | undefined;
  readonly lookupId: number | undefined;
  readonly key: Identifier;
  readonly untilMs: number;
}

export interface NewsItem {
  readonly change: RingMember;
  readonly sequence: number;
}

/** The way into the ring, one step after the other; begun anew when any of them fails. */
export interface JoinState {
  readonly step: 'contact' | 'lease' | 'find' | 'survey' | 'admit' | 'joinAfter' | 'settle' | 'resume';
  readonly contacts: readonly Member[];
  /** Grows with every beginning: picks the contact, and tells late answers. */
  readonly attempt: number;
  readonly fence: number;
  readonly successor: Member | undefined;
  readonly predecessor: Member | undefined;
  /** Descriptions still awaited in `survey` and `settle`, and whether all that came were right. */
  readonly awaited: number;
  readonly isIdeal: boolean;
  /** Waits until then, and begins anew; Infinity while an answer is awaited. */
  readonly retryAtMs: number;
  readonly deadlineMs: number;
}

/** The vote on the replacement of one silent member. */
export interface Election {
  readonly about: Member;
  readonly round: number;
  readonly consents: number;
  readonly awaited: number;
  readonly needed: number;
  /** No new round before this. */
  readonly retryAtMs: number;
  readonly isWon: boolean;
}

/** A walk once round the circle of arcs, after all leases ran out. */
export interface Revival {
  readonly round: number;
  readonly startedAtMs: number;
  readonly last: Member;
  readonly visits: number;
}

export type RegistryPurpose =
  | { readonly kind: 'sync' }
  | { readonly kind: 'joinLease' }
  | { readonly kind: 'arbitrate'; readonly about: Member }
  /** `gone`: told to be dead, for its process is gone; undefined: something else, or told again anyway. */
  | { readonly kind: 'report'; readonly gone?: Member };

export interface Fingers {
  /** The first member at or after the start numbered `slot`; used when there is no member table. */
  readonly members: readonly { readonly slot: number; readonly member: RingMember }[];
  /** The slot that is looked up next. */
  readonly next: number;
}

/** Moments at which something is due. */
export interface Schedule {
  readonly stabilizeAtMs: number;
  readonly lastStabilizeAtMs: number;
  readonly periodMs: number;
  readonly quietRounds: number;
  /** Lookups came lately: the lease is kept fresh until then. */
  readonly busyUntilMs: number;
  readonly registrySyncAtMs: number;
  readonly gossipAtMs: number;
  /** Digest of the table when it was last compared with a random member's. */
  readonly gossipedDigest: number | undefined;
  readonly reviveAtMs: number;
}

export interface Step {
  readonly state: NodeState;
  readonly effects: readonly ChordEffect[];
}
