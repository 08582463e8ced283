/** A member's way back after a restart: alone among others that stayed, or all of them at once. */
import type { Identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import {
  boundsOf,
  changeCustody,
  granteeAt,
  grantorOf,
  hasLease,
  ownWholeCircle,
  pairOf,
} from './custody.ts';
import { becomeReplaced } from './fencing.ts';
import { EMPTY_TABLE, findMember, firstFrom, isServing, mergeMember } from './member-table.ts';
import type { Answer } from './message.ts';
import { learn, learnAll, publishSelf } from './news.ts';
import type { Grantee, PendingCall } from './node-state.ts';
import { takeArc } from './phases.ts';
import { sameLife, successorListFrom } from './ring-pointers.ts';
import { renewLeaseNow } from './stabilize.ts';
import { enterRing } from './timetable.ts';
import { inheritedGrantee } from './transfer.ts';
import { answer, askRegistry, call, freshId, selfOf, type Turn, viewChanged, withEntry } from './turn.ts';
import { askTableSoon, isVouchedFor } from './vouching.ts';

/** Before a step that was not possible yet is tried again. */
const RETRY_MS = 100;
/** Members that one attempt is sent on to, at most: two who take each other for the grantor must not play ball. */
const MAX_HOPS = 3;

/** The first entry after self of a list of members of the whole ring. */
interface Neighbourhood {
  readonly predecessor: Member | undefined;
  readonly successors: readonly Member[];
}

function neighbourhood(members: readonly RingMember[], self: Member): Neighbourhood {
  const others = members.filter(({ instanceId }) => instanceId !== self.instanceId);
  const after = others.filter(({ id }) => id > self.id);
  const before = others.filter(({ id }) => id < self.id);
  const clockwise = [...after, ...before];
  return { predecessor: clockwise.at(-1), successors: clockwise };
}

/** All members restart from one list: the circle of arcs is the one the list describes, with no lease in it. */
export function coldStart(turn: Turn, listed: readonly Member[]): void {
  const { node } = turn;
  if (node.standing === 'inside') return;
  node.phase = 'active';
  let table = EMPTY_TABLE;
  for (const member of [...listed, node.self]) {
    table = mergeMember(table, { ...member, phase: 'active' }, { tombstoneUntilMs: 0 });
  }
  node.table = table;
  const { predecessor, successors } = neighbourhood(table.members, node.self);
  const [head, ...rest] = successors;
  const rules = {
    self: node.self,
    length: node.config.successorListLength,
    corrections: node.config.corrections,
  };
  node.pointers = {
    predecessor,
    predecessorIsDead: false,
    successorList: head === undefined ? [] : successorListFrom(head, rest, rules),
  };
  node.join = undefined;
  enterRing(turn);
  viewChanged(turn);
  if (predecessor === undefined) {
    ownWholeCircle(turn);
    turn.effects.push({ kind: 'resumed' });
    return;
  }
  changeCustody(turn, {
    arcFrom: predecessor.id,
    grantee: {
      member: predecessor,
      arcFrom: neighbourhood(table.members, predecessor).predecessor?.id,
      isExact: true,
      sequence: 0,
      leaseUntilMs: turn.nowMs + node.config.leaseMs + node.config.leaseMarginMs,
      rightUntilMs: turn.nowMs + node.config.grantRightMs + node.config.leaseMarginMs,
      heardAtMs: turn.nowMs,
      next: undefined,
    },
  });
  node.custody = { ...node.custody, pairedWith: pairOf(node) };
  turn.effects.push({ kind: 'resumed' });
}

/** After a restart: asks any member for the newest view, then the grantor whether the arc is still ours. */
export function startResume(turn: Turn, contacts: readonly Member[]): void {
  const { node } = turn;
  if (node.standing !== 'outside' && node.standing !== 'resuming') return;
  node.standing = 'resuming';
  const others = contacts.filter(({ instanceId }) => instanceId !== node.self.instanceId);
  node.join = {
    step: 'resume',
    contacts: others,
    attempt: node.join?.attempt ?? 0,
    fence: 0,
    successor: undefined,
    predecessor: undefined,
    awaited: 0,
    isIdeal: true,
    retryAtMs: turn.nowMs + 2 * RETRY_MS,
    deadlineMs: Number.POSITIVE_INFINITY,
  };
  const chosen = others[node.join.attempt % Math.max(1, others.length)];
  if (chosen === undefined) return;
  const request = { kind: 'exchange', from: selfOf(node), digests: [] } as const;
  call(turn, chosen, request, { kind: 'resume', hops: 0 });
}

export function continueResume(turn: Turn): void {
  const { node } = turn;
  const { join } = node;
  if (node.standing !== 'resuming' || join === undefined || turn.nowMs < join.retryAtMs) return;
  node.join = { ...join, attempt: join.attempt + 1 };
  // The others may have started anew as well: the member table knows their present lives.
  const isInVain = join.attempt % Math.max(1, join.contacts.length) === 0;
  if (isInVain) askRegistry(turn, { kind: 'members' }, { kind: 'sync' });
  startResume(turn, join.contacts);
}

export function resumeAnswered(turn: Turn, { purpose }: PendingCall, reply: Answer): void {
  const { node } = turn;
  if (node.standing !== 'resuming' || purpose.kind !== 'resume') return;
  const { hops } = purpose;
  switch (reply.kind) {
    case 'members':
      learnAll(turn, reply.members);
      askForOldArc(turn, reply.members);
      return;
    case 'ceded':
      placeRegained(turn, reply);
      return;
    case 'askOther':
      askOther(turn, hops, reply.member);
      return;
    case 'replaced':
      becomeReplaced(turn);
      return;
    default:
  }
}

/** Also one that we know: it may own the place of another that our table takes for the owner. */
function askOther(turn: Turn, hops: number, member: RingMember): void {
  const { node } = turn;
  learn(turn, member);
  if (hops >= MAX_HOPS || member.instanceId === node.self.instanceId) return;
  call(turn, member, { kind: 'resume', from: node.self }, { kind: 'resume', hops: hops + 1 });
}

function askForOldArc(turn: Turn, members: readonly RingMember[]): void {
  const { node } = turn;
  const own = members.find(({ instanceId }) => instanceId === node.self.instanceId);
  // A newcomer that restarted before it owned anything has no place to come back to.
  if (own === undefined || !isServing(own.phase) || own.incarnation > node.self.incarnation) {
    becomeReplaced(turn);
    return;
  }
  node.phase = own.phase;
  const isOther = ({ instanceId }: Member) => instanceId !== node.self.instanceId;
  const grantor = firstFrom(node.table.serving, node.self.id, isOther);
  if (grantor !== undefined)
    call(turn, grantor, { kind: 'resume', from: node.self }, { kind: 'resume', hops: 0 });
}

/** The records of the whole arc are compared before the first answer: others may have written meanwhile. */
function placeRegained(turn: Turn, reply: Extract<Answer, { readonly kind: 'ceded' }>): void {
  const { node } = turn;
  const { predecessor, successors } = neighbourhood(node.table.members, node.self);
  const [head, ...rest] = successors;
  const { successorListLength, corrections } = node.config;
  node.pointers = {
    predecessor,
    predecessorIsDead: false,
    successorList:
      head === undefined
        ? []
        : successorListFrom(head, rest, { self: node.self, length: successorListLength, corrections }),
  };
  takeArc(turn, reply);
  const checkId = freshId(turn);
  const arc = { checkId, from: reply.arcFrom, to: node.self.id };
  node.custody = { ...node.custody, unchecked: [arc] };
  turn.effects.push({ kind: 'checkTakeOver', ...arc });
  node.join = undefined;
  enterRing(turn);
  publishSelf(turn);
  turn.effects.push({ kind: 'resumed' });
}

/** By its own word just now that life waits for its old place, and so serves nothing. */
export function noteResuming(turn: Turn, { instanceId, incarnation }: Member): void {
  const entry = { incarnation, atMs: turn.nowMs };
  turn.node.resuming = withEntry(turn.node.resuming, instanceId, entry);
}

/** The grantor's side of a restart: the old life has ended, and its arc is still in custody of the new one. */
export function answerResume(turn: Turn, from: Member, callId: number): void {
  const { node } = turn;
  noteResuming(turn, from);
  const { custody } = node;
  const { grantee } = custody;
  if (node.standing !== 'inside' || custody.arcFrom === undefined || custody.isHandingOver) {
    const other = grantorOf(node);
    const isOther = other !== undefined && other.instanceId !== from.instanceId;
    answer(
      turn,
      callId,
      isOther
        ? { kind: 'askOther', member: other }
        : { kind: 'notReady', self: node.self, isResuming: false },
    );
    return;
  }
  // Without a valid lease it may be us who were replaced: then we do not judge.
  const isSound = !custody.isDoubtful && !custody.isUncertain && isVouchedFor(turn, from);
  if (!hasLease(node, turn.nowMs) && !isSound) {
    renewLeaseNow(turn);
    askTableSoon(turn);
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: false });
    return;
  }
  const known = granteeAt(custody, from);
  const isOurs =
    known?.member.instanceId === from.instanceId &&
    known.member.incarnation <= from.incarnation &&
    known.arcFrom !== undefined &&
    known.isExact;
  if (!isOurs) {
    const isElsewhere = grantee !== undefined && custody.arcFrom !== from.id && !isInside(turn, from);
    answer(
      turn,
      callId,
      isElsewhere
        ? { kind: 'askOther', member: { ...grantee.member, phase: 'active' } }
        : { kind: 'replaced' },
    );
    return;
  }
  resumeGrantee(turn, from, callId);
}

function isInside({ node }: Turn, from: Member): boolean {
  const { arcFrom } = node.custody;
  if (arcFrom === undefined) return false;
  const distance = (id: Identifier) => (node.self.id - id) >>> 0;
  return arcFrom === node.self.id || distance(from.id) < distance(arcFrom);
}

function resumeGrantee(turn: Turn, from: Member, callId: number): void {
  const { node } = turn;
  const { custody } = node;
  const grantee = granteeAt(custody, from);
  if (grantee?.arcFrom === undefined) return;
  const { leaseMs, grantRightMs, leaseMarginMs } = node.config;
  const isNewLife = !sameLife(grantee.member, from);
  const resumed: Grantee = {
    ...grantee,
    member: from,
    sequence: isNewLife ? 0 : grantee.sequence,
    leaseUntilMs: Math.max(grantee.leaseUntilMs, turn.nowMs + leaseMs + leaseMarginMs),
    rightUntilMs: Math.max(grantee.rightUntilMs, turn.nowMs + grantRightMs + leaseMarginMs),
    heardAtMs: turn.nowMs,
  };
  node.custody =
    custody.grantee === grantee || custody.ceded === undefined
      ? { ...custody, grantee: resumed }
      : { ...custody, ceded: { ...custody.ceded, grantee: resumed } };
  const old = findMember(node.table, from.id);
  learn(turn, { ...from, phase: old === undefined || old.phase === 'left' ? 'active' : old.phase });
  // The old life granted until its end at most, and that end lies in the past.
  const next = inheritedGrantee(turn, grantee, grantee.arcFrom);
  const grant = next === undefined ? undefined : boundsOf(turn, next);
  answer(turn, callId, { kind: 'ceded', arcFrom: grantee.arcFrom, grant });
}
