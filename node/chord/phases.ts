/** A member's own way through its phases, and back after a restart. */
import type { Identifier } from '../../domain/identifier.ts';
import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { boundsOf, changeCustody, grantorOf, hasLease, isAlone, ownWholeCircle, pairOf } from './custody.ts';
import { becomeReplaced } from './fencing.ts';
import { EMPTY_TABLE, findMember, firstBefore, firstFrom, isServing, mergeMember } from './member-table.ts';
import type { Answer } from './message.ts';
import { learn, learnAll, publishSelf } from './news.ts';
import { NO_CUSTODY } from './node-state.ts';
import { askTableSoon, isVouchedFor } from './registry-sync.ts';
import { NO_POINTERS, sameLife, successorListFrom } from './ring-pointers.ts';
import { renewLeaseNow } from './stabilize.ts';
import { enterRing } from './timetable.ts';
import { granteeFrom, inheritedGrantee } from './transfer.ts';
import { answer, askRegistry, call, freshId, selfOf, type Turn, viewChanged } from './turn.ts';

/** Before a step that was not possible yet is tried again. */
const RETRY_MS = 100;

/** How long a leaver waits for somebody to hand its arc to, after the one that may have it is gone. */
const STRANDED_MS = 8_000;

export function createRing(turn: Turn): void {
  const { node } = turn;
  if (node.standing !== 'outside') return;
  node.phase = 'active';
  node.pointers = { ...NO_POINTERS, predecessor: undefined };
  node.table = mergeMember(EMPTY_TABLE, selfOf(node), { tombstoneUntilMs: 0 });
  ownWholeCircle(turn);
  enterRing(turn);
  viewChanged(turn);
  turn.effects.push({ kind: 'joined' });
}

/** The shell asks for a phase. What is already reached is confirmed again. */
export function startEntering(turn: Turn, phase: MemberPhase): void {
  const { node } = turn;
  if (node.phase === phase || (phase === 'active' && node.phase === 'draining')) {
    turn.effects.push({ kind: 'entered', phase });
    return;
  }
  node.entering = { phase, retryAtMs: turn.nowMs, sinceMs: turn.nowMs };
  continueEntering(turn);
}

export function continueEntering(turn: Turn): void {
  const { node } = turn;
  const { entering } = node;
  if (entering === undefined || node.standing !== 'inside' || turn.nowMs < entering.retryAtMs) return;
  node.entering = { ...entering, retryAtMs: turn.nowMs + RETRY_MS + node.config.maxTimeoutMs };
  switch (entering.phase) {
    case 'active':
      if (node.join === undefined) askForArc(turn);
      else postpone(turn);
      return;
    case 'draining':
      enter(turn, 'draining');
      return;
    case 'left':
      leaveRing(turn);
      return;
    case 'joining':
      node.entering = undefined;
      return;
  }
}

function postpone(turn: Turn): void {
  const { entering } = turn.node;
  if (entering !== undefined)
    turn.node.entering = { ...entering, retryAtMs: turn.nowMs + RETRY_MS * (1 + turn.random()) };
}

/** A new phase of our own: told to everybody. */
function enter(turn: Turn, phase: MemberPhase): void {
  const { node } = turn;
  node.phase = phase;
  node.entering = undefined;
  publishSelf(turn);
  turn.effects.push({ kind: 'entered', phase });
}

function askForArc(turn: Turn): void {
  const { node } = turn;
  if (!node.config.memberTable) {
    enter(turn, 'active');
    return;
  }
  if (!node.config.corrections.ownershipAfterData) {
    const before = firstBefore(
      node.table.serving,
      node.self.id,
      (m) => m.instanceId !== node.self.instanceId,
    );
    changeCustody(turn, { arcFrom: before?.id ?? node.self.id });
    enter(turn, 'active');
    return;
  }
  const grantor = grantorOf(node);
  if (grantor === undefined) postpone(turn);
  else call(turn, grantor, { kind: 'activate', from: node.self }, { kind: 'activate' });
}

export function activateAnswered(turn: Turn, reply: Answer): void {
  const { node } = turn;
  if (node.entering?.phase !== 'active' || node.phase !== 'joining') return;
  switch (reply.kind) {
    case 'ceded':
      takeArc(turn, reply);
      enter(turn, 'active');
      renewLeaseNow(turn);
      return;
    case 'askOther':
      // News moves us on at once; the same answer again means that others have something to settle first.
      if (learn(turn, reply.member)) askForArc(turn);
      else postpone(turn);
      return;
    case 'replaced':
      becomeReplaced(turn);
      return;
    default:
      postpone(turn);
  }
}

/** The arc is ours; the lease to speak for it is asked for like any other. */
function takeArc(turn: Turn, { arcFrom, grant }: Extract<Answer, { readonly kind: 'ceded' }>): void {
  changeCustody(turn, {
    arcFrom,
    grantee: grant === undefined ? undefined : granteeFrom(turn, grant),
  });
  turn.node.custody = { ...turn.node.custody, reportedSequence: turn.node.custody.sequence };
}

/** Stops to serve, gives the arc to the first serving successor, and goes when that has confirmed. */
function leaveRing(turn: Turn): void {
  const { node } = turn;
  const { custody } = node;
  const grantor = grantorOf(node);
  const isLast = isAlone(node) && node.table.members.length > 1;
  if (isLast) {
    // Newcomers are on their way in: without us there would be no ring for them.
    postpone(turn);
    return;
  }
  if (custody.arcFrom === undefined || isAlone(node) || !node.config.memberTable) {
    depart(turn);
    return;
  }
  const patienceMs = grantor === undefined ? STRANDED_MS : 4 * STRANDED_MS;
  if (custody.isUncertain && turn.nowMs > (node.entering?.sinceMs ?? turn.nowMs) + patienceMs) {
    // Whoever may have accepted the arc is gone. What others make of it is no more our affair.
    becomeReplaced(turn);
    return;
  }
  const isCondemned = (node.condemned.get(grantor?.instanceId ?? '') ?? 0) > turn.nowMs;
  if (custody.unchecked.length > 0 || grantor === undefined || isCondemned) {
    postpone(turn);
    return;
  }
  node.custody = { ...custody, isHandingOver: true };
  const grant = custody.grantee === undefined ? undefined : boundsOf(turn, custody.grantee);
  const { arcFrom, sequence } = custody;
  const request = { kind: 'handOver', from: node.self, arcFrom, sequence, grant } as const;
  call(turn, grantor, request, { kind: 'handOver' });
}

export function handOverAnswered(turn: Turn, reply: Answer): void {
  const { node } = turn;
  if (node.entering?.phase !== 'left') return;
  if (reply.kind === 'done') depart(turn);
  else if (reply.kind === 'replaced') becomeReplaced(turn);
  else {
    if (reply.kind === 'askOther') learn(turn, reply.member);
    handOverFailed(turn);
  }
}

/**
 * Perhaps it was accepted and only the answer is lost. So the arc is taken up again without its lease: whoever holds
 * it by now will not grant one, and who does not will.
 */
export function handOverFailed(turn: Turn): void {
  const { node } = turn;
  if (node.entering?.phase !== 'left') return;
  node.custody = {
    ...node.custody,
    isHandingOver: false,
    isUncertain: true,
    sequence: node.custody.sequence + 1,
    leaseUntilMs: Number.NEGATIVE_INFINITY,
  };
  postpone(turn);
}

/** TON 2003, IV-E.4: both neighbours are told, with what they need to close the gap at once. */
function depart(turn: Turn): void {
  const { node } = turn;
  const { predecessor, predecessorIsDead, successorList } = node.pointers;
  enter(turn, 'left');
  const standIn = predecessorIsDead ? undefined : predecessor;
  const request = { kind: 'leave', from: selfOf(node), predecessor: standIn, successorList } as const;
  for (const neighbour of [standIn, successorList[0]]) {
    if (neighbour !== undefined) call(turn, neighbour, request, { kind: 'farewell' });
  }
  node.standing = 'gone';
  node.custody = NO_CUSTODY;
}

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
  call(turn, chosen, request, { kind: 'resume' });
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

export function resumeAnswered(turn: Turn, reply: Answer): void {
  const { node } = turn;
  if (node.standing !== 'resuming') return;
  switch (reply.kind) {
    case 'members':
      learnAll(turn, reply.members);
      askForOldArc(turn, reply.members);
      return;
    case 'ceded':
      placeRegained(turn, reply);
      return;
    case 'askOther':
      if (!learn(turn, reply.member)) return;
      call(turn, reply.member, { kind: 'resume', from: node.self }, { kind: 'resume' });
      return;
    case 'replaced':
      becomeReplaced(turn);
      return;
    default:
  }
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
  if (grantor !== undefined) call(turn, grantor, { kind: 'resume', from: node.self }, { kind: 'resume' });
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

/** The grantor's side of a restart: the old life has ended, and its arc is still in custody of the new one. */
export function answerResume(turn: Turn, from: Member, callId: number): void {
  const { node } = turn;
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
  const isOurs =
    custody.arcFrom === from.id &&
    grantee?.member.instanceId === from.instanceId &&
    grantee.member.incarnation <= from.incarnation &&
    grantee.arcFrom !== undefined &&
    grantee.isExact;
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
  const { grantee } = node.custody;
  if (grantee?.arcFrom === undefined) return;
  const { leaseMs, grantRightMs, leaseMarginMs } = node.config;
  const isNewLife = !sameLife(grantee.member, from);
  node.custody = {
    ...node.custody,
    grantee: {
      ...grantee,
      member: from,
      sequence: isNewLife ? 0 : grantee.sequence,
      leaseUntilMs: Math.max(grantee.leaseUntilMs, turn.nowMs + leaseMs + leaseMarginMs),
      rightUntilMs: Math.max(grantee.rightUntilMs, turn.nowMs + grantRightMs + leaseMarginMs),
      heardAtMs: turn.nowMs,
    },
  };
  const old = findMember(node.table, from.id);
  learn(turn, { ...from, phase: old === undefined || old.phase === 'left' ? 'active' : old.phase });
  // The old life granted until its end at most, and that end lies in the past.
  const next = inheritedGrantee(turn, grantee, grantee.arcFrom);
  const grant = next === undefined ? undefined : boundsOf(turn, next);
  answer(turn, callId, { kind: 'ceded', arcFrom: grantee.arcFrom, grant });
}
