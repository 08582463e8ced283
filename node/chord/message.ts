import type { Identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';

/**
 * What members say to each other: one request, one answer. Plain data; every field may be put on any wire as it is.
 * The receiver of bytes from outside validates shapes and bounds; the core checks meaning.
 *
 * Durations are remaining ms, never points in time: no two members share a clock.
 */
export type Request =
  /** Answered always, also while an operation is open, with `pong`. */
  | { readonly kind: 'ping' }
  /** An indirect probe: ping that member for me. Answered with `pinged`. */
  | { readonly kind: 'pingVia'; readonly target: Member }
  | StabilizeRequest
  /** Full pointers, for the check that the ring is ideal and for tests. Answered with `pointers`. */
  | { readonly kind: 'describe' }
  /** Changes of the member table on their way to everybody in (receiver, until): pass them on. Answered `done`. */
  | { readonly kind: 'announce'; readonly changes: readonly RingMember[]; readonly until: Identifier }
  /** One digest per bucket of the member table. Answered with `members`: the buckets that differ. */
  | { readonly kind: 'exchange'; readonly from: RingMember; readonly digests: readonly number[] }
  /** Who owns `key`? `suspects`: members the asker could not reach (instance ids). */
  | { readonly kind: 'lookup'; readonly key: Identifier; readonly suspects: readonly string[] }
  /** A newcomer asks the member after it to let it in. Answered with `admitted` or `refused`. */
  | { readonly kind: 'admit'; readonly from: Member; readonly fence: number }
  /** The admitted newcomer asks the member before it for its successor list. Answered with `pointers` or `refused`. */
  | { readonly kind: 'joinAfter'; readonly from: Member; readonly fence: number }
  /** A joining member holds everything and asks its successor for its arc. Answered `ceded`, `pending`, `askOther`, `refused`. */
  | { readonly kind: 'activate'; readonly from: Member }
  /** A draining member has stopped to serve and gives its arc to its successor. Answered `done`, `askOther` or `refused`. */
  | {
      readonly kind: 'handOver';
      readonly from: Member;
      readonly arcFrom: Identifier;
      /** Of `LeaseRequest`: an offer that was taken back since is recognised. */
      readonly sequence: number;
      readonly grant: GrantBounds | undefined;
    }
  /** The sender leaves the pointers: its predecessor and its list stand in for it. Answered `done`. */
  | {
      readonly kind: 'leave';
      readonly from: RingMember;
      readonly predecessor: Member | undefined;
      readonly successorList: readonly Member[];
    }
  /** After a restart: is my arc still mine? Answered `ceded`, `replaced`, `askOther`, `refused`. */
  | { readonly kind: 'resume'; readonly from: Member }
  /** May the silent member `about` be replaced? Answered with `vote`. */
  | {
      readonly kind: 'askVote';
      readonly from: Member;
      readonly about: Member;
      readonly servingDigest: number;
    }
  /** All leases ran out at once; the sender checks that the circle of arcs is whole. Answered with `revived` or `refused`. */
  | { readonly kind: 'revive'; readonly from: Member; readonly initiator: Member };

/** The heartbeat: query of pointers, notify, lease renewal and exchange of news in one call. Answered with `pointers`. */
export interface StabilizeRequest {
  readonly kind: 'stabilize';
  readonly from: RingMember;
  /** The sender takes the receiver for its successor, so the receiver may rectify its predecessor. */
  readonly notify: boolean;
  /** `pointersDigest` of the last answer: the same pointers need not be sent again. 0: none. */
  readonly knownDigest: number;
  readonly lease: LeaseRequest | undefined;
  readonly changes: readonly RingMember[];
  readonly tableDigest: number;
}

/** Asked of the first serving successor. */
export interface LeaseRequest {
  /** The sender's arc is (arcFrom, sender]. */
  readonly arcFrom: Identifier;
  /** Grows with every change of the arc: a late message about an older arc is recognised. */
  readonly sequence: number;
  /** Whom the sender grants leases to, so that its successor can stand in for it. */
  readonly grantee: GrantBounds | undefined;
}

/** What a granting member knows of the leases of the member at the start of its arc. */
export interface GrantBounds {
  readonly member: Member;
  /** That member's own arc start as far as known. */
  readonly arcFrom: Identifier | undefined;
  /** Upper bounds, remaining ms: it says "mine" no longer than this, and grants no longer than that. */
  readonly leaseMs: number;
  readonly rightMs: number;
}

export type LeaseAnswer =
  | { readonly kind: 'granted' }
  /** The receiver's own right to grant has run out; it has noted the sender's arc all the same. */
  | { readonly kind: 'noted' }
  /** Not to be granted just now. */
  | { readonly kind: 'noRight' }
  /** Not mine to grant: ask that member. */
  | { readonly kind: 'askOther'; readonly member: RingMember }
  /** The sender's arc is mine by now. */
  | { readonly kind: 'replaced' };

export type Answer =
  | { readonly kind: 'pong'; readonly self: RingMember }
  /** `incarnation`: the life of the target that answered; undefined when nothing did. */
  | {
      readonly kind: 'pinged';
      readonly incarnation: number | undefined;
      readonly refused: boolean;
    }
  | PointersAnswer
  | { readonly kind: 'members'; readonly members: readonly RingMember[] }
  /** The callee owns the key and its lease is valid. */
  | { readonly kind: 'mine'; readonly self: RingMember }
  /** Best first: members that are closer to the key than the callee. */
  | { readonly kind: 'redirect'; readonly to: readonly RingMember[] }
  | { readonly kind: 'admitted'; readonly predecessor: Member; readonly minimumIncarnation: number }
  /** `to`: ask that member instead, when there is one. */
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly to: Member | undefined }
  | { readonly kind: 'ceded'; readonly arcFrom: Identifier; readonly grant: GrantBounds | undefined }
  | { readonly kind: 'pending' }
  | { readonly kind: 'askOther'; readonly member: RingMember }
  | { readonly kind: 'replaced' }
  | {
      readonly kind: 'vote';
      readonly consent: boolean;
      /** The voter's serving members differ from the asker's: its news, to settle the difference. */
      readonly changes: readonly RingMember[];
    }
  /** The circle is whole up to here; `next` is the one to ask now. `hasRight`: no need to go on. */
  | { readonly kind: 'revived'; readonly next: Member; readonly hasRight: boolean }
  | { readonly kind: 'done' }
  /** Not in a ring, or not yet. `isResuming`: back after a restart and waiting for the others. */
  | { readonly kind: 'notReady'; readonly self: Member; readonly isResuming: boolean };

export type RefusalReason =
  /** The id is taken by another living member. */
  | 'idTaken'
  /** Another newcomer is being admitted, or the ring is not ideal just now. */
  | 'notIdeal'
  /** The admission lease is older than one already seen. */
  | 'staleFence'
  | 'notResponsible'
  | 'notSettled';

export interface PointersAnswer {
  readonly kind: 'pointers';
  readonly self: RingMember;
  readonly pointersDigest: number;
  /** Undefined: unchanged since the answer with `knownDigest`. */
  readonly pointers: Pointers | undefined;
  readonly lease: LeaseAnswer | undefined;
  readonly changes: readonly RingMember[];
  readonly tableDigest: number;
}

/** One member's place in the ring as it sees it. */
export interface Pointers {
  readonly predecessor: Member | undefined;
  readonly predecessorIsDead: boolean;
  /** Clockwise from self, nearest first, without self; empty for a member alone. */
  readonly successorList: readonly Member[];
  /** The arc the member claims: (arcFrom, self]; undefined while it owns nothing. */
  readonly arcFrom: Identifier | undefined;
  /** Newcomer let in but not yet seen in the pointers. */
  readonly isAdmitting: boolean;
}
