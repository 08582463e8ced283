/**
 * The chain of custody: who owns which arc, and who may say so now.
 *
 * Arcs change hands only by explicit steps between two members, each other's grantor and grantee: a newcomer is
 * given an arc (`cede`), a leaver gives its own (`handOver`), a dead member's is taken (`take-over.ts`). A member
 * answers "mine" while its grantor, the first serving member after it, has acknowledged it within the lease.
 */
import { type Identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { becomeReplaced } from './fencing.ts';
import { findMember, firstFrom } from './member-table.ts';
import type { Answer, GrantBounds, LeaseAnswer, LeaseRequest } from './message.ts';
import { learn } from './news.ts';
import type { Custody, Grantee, NodeState } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { answer, servesNow, type Turn } from './turn.ts';
import { hasVerdict, verdictOn } from './verdict.ts';

/** Owner of the whole circle: needs no lease, for there is nobody to give one. */
export function isAlone({ custody, self }: NodeState): boolean {
  return custody.arcFrom === self.id;
}

export function hasLease(node: NodeState, nowMs: number): boolean {
  return isAlone(node) || nowMs < node.custody.leaseUntilMs || !node.config.corrections.leases;
}

/** Whether this member may grant leases, and with them speak about its arc at all. */
export function hasRight(node: NodeState, nowMs: number): boolean {
  return isAlone(node) || nowMs < node.custody.rightUntilMs;
}

/** The key lies in this member's arc, and its records have been compared: a valid lease is all that may lack. */
export function isResponsible(node: NodeState, key: Identifier): boolean {
  const { custody, self, config } = node;
  if (!servesNow(node) || custody.isHandingOver) return false;
  if (!config.memberTable || !config.corrections.leases) return isBehindPredecessor(node, key);
  if (custody.arcFrom === undefined || !inArc(key, custody.arcFrom, self.id)) return false;
  return custody.unchecked.every(({ from, to }) => !inArc(key, from, to));
}

/** Chord as published: whatever lies after the predecessor is one's own. */
function isBehindPredecessor({ pointers, self, config }: NodeState, key: Identifier): boolean {
  const { predecessor, successorList } = pointers;
  if (predecessor === undefined) return successorList.length === 0 || !config.corrections.keepDeadPredecessor;
  return inArc(key, predecessor.id, self.id);
}

/** Whether this node may say "mine" at that moment: the arc is its own, checked, and its lease is valid. */
export function owns(node: NodeState, key: Identifier, nowMs: number): boolean {
  return isResponsible(node, key) && (hasLease(node, nowMs) || !node.config.memberTable);
}

/** The first serving member after self that nothing speaks against: the one that grants our lease. */
export function grantorOf(node: NodeState): RingMember | undefined {
  const next = (node.self.id + 1) >>> 0;
  return firstFrom(
    node.table.serving,
    next as Identifier,
    ({ instanceId }) => instanceId !== node.self.instanceId && !hasVerdict(node, instanceId),
  );
}

export function leaseRequest(turn: Turn): LeaseRequest | undefined {
  const { node } = turn;
  const { custody } = node;
  if (!servesNow(node) || custody.arcFrom === undefined || custody.isHandingOver) return undefined;
  return {
    arcFrom: custody.arcFrom,
    sequence: custody.sequence,
    grantee: custody.grantee === undefined ? undefined : boundsOf(turn, custody.grantee),
  };
}

export function boundsOf(turn: Turn, grantee: Grantee): GrantBounds {
  return {
    member: grantee.member,
    arcFrom: grantee.arcFrom,
    leaseMs: Math.max(0, grantee.leaseUntilMs - turn.nowMs),
    rightMs: Math.max(0, grantee.rightUntilMs - turn.nowMs),
  };
}

/** A change of the own arc; every such change has its number. */
export function changeCustody(turn: Turn, change: Partial<Custody>): void {
  const { custody } = turn.node;
  const isNewArc = 'arcFrom' in change && change.arcFrom !== custody.arcFrom;
  turn.node.custody = { ...custody, ...change, sequence: custody.sequence + (isNewArc ? 1 : 0) };
}

/** A member asks us, as its first serving successor, for its lease. */
export function grantLease(turn: Turn, from: RingMember, request: LeaseRequest): LeaseAnswer {
  const { node } = turn;
  const { custody, self, config } = node;
  if (!servesNow(node) || custody.arcFrom === undefined || custody.isHandingOver) return askNext(node);
  const { grantee } = custody;
  if (custody.arcFrom !== from.id || grantee === undefined) {
    if (inOpenArc(from.id, custody.arcFrom, self.id)) return replacedByUs(turn);
    const between = grantee === undefined ? undefined : findMember(node.table, grantee.member.id);
    if (between === undefined || between.phase === 'left') return { kind: 'noRight' };
    return { kind: 'askOther', member: between };
  }
  if (config.corrections.incarnations && !sameLife(grantee.member, from)) return replacedByUs(turn);
  const next = request.grantee;
  const told: Grantee =
    request.sequence < grantee.sequence
      ? grantee
      : {
          ...grantee,
          member: from,
          arcFrom: request.arcFrom,
          isExact: true,
          sequence: request.sequence,
          next: next === undefined ? undefined : { member: next.member, arcFrom: next.arcFrom },
        };
  const heard = { ...told, heardAtMs: turn.nowMs };
  if (!hasRight(node, turn.nowMs)) {
    node.custody = { ...custody, grantee: heard };
    return { kind: 'noted' };
  }
  node.custody = { ...custody, grantee: extended(turn, heard) };
  return { kind: 'granted' };
}

/** Without a valid lease it may be us who were replaced: then we do not judge. */
function replacedByUs(turn: Turn): LeaseAnswer {
  return { kind: hasLease(turn.node, turn.nowMs) ? 'replaced' : 'noRight' };
}

/** The grantee's bounds after a lease given now. */
export function extended(turn: Turn, grantee: Grantee): Grantee {
  const { leaseMs, grantRightMs, leaseMarginMs } = turn.node.config;
  return {
    ...grantee,
    leaseUntilMs: Math.max(grantee.leaseUntilMs, turn.nowMs + leaseMs + leaseMarginMs),
    rightUntilMs: Math.max(grantee.rightUntilMs, turn.nowMs + grantRightMs + leaseMarginMs),
  };
}

function askNext(node: NodeState): LeaseAnswer {
  const member = grantorOf(node);
  return member === undefined ? { kind: 'noRight' } : { kind: 'askOther', member };
}

/** Our grantor's answer to a request sent at `sentAtMs` about the arc numbered `sequence`. */
export function leaseAnswered(
  turn: Turn,
  lease: LeaseAnswer,
  sent: { readonly atMs: number; readonly sequence: number },
): void {
  const { node } = turn;
  switch (lease.kind) {
    case 'granted':
      // An answer about the arc from before a hand-over says nothing about what became of it.
      if (node.custody.isUncertain && sent.sequence < node.custody.sequence) return;
      noteLease(turn, sent.atMs);
      noteReported(turn, sent.sequence);
      break;
    case 'noted':
      noteReported(turn, sent.sequence);
      noteNoRight(turn);
      break;
    case 'askOther':
      learn(turn, lease.member);
      break;
    case 'replaced':
      if (sent.sequence === node.custody.sequence) becomeReplaced(turn);
      break;
    case 'noRight':
      noteNoRight(turn);
      break;
  }
}

function noteReported({ node }: Turn, sequence: number): void {
  const { custody } = node;
  node.custody = { ...custody, reportedSequence: Math.max(custody.reportedSequence, sequence) };
}

/** The lease counts from when it was asked for, so it ends here before it ends at the grantor. */
export function noteLease(turn: Turn, sentAtMs: number): void {
  const { node } = turn;
  const { leaseMs, grantRightMs } = node.config;
  node.custody = {
    ...node.custody,
    leaseUntilMs: Math.max(node.custody.leaseUntilMs, sentAtMs + leaseMs),
    rightUntilMs: Math.max(node.custody.rightUntilMs, sentAtMs + grantRightMs),
    isUncertain: false,
  };
  node.schedule = { ...node.schedule, reviveAtMs: Number.POSITIVE_INFINITY };
}

/** The grantor has no right itself: should that be so all round the circle, only a walk round it helps. */
function noteNoRight(turn: Turn): void {
  const { node } = turn;
  if (hasRight(node, turn.nowMs) || node.revival !== undefined) return;
  if (node.schedule.reviveAtMs !== Number.POSITIVE_INFINITY) return;
  const pauseMs = node.config.eagerPeriodMs * (1 + 4 * turn.random());
  node.schedule = { ...node.schedule, reviveAtMs: turn.nowMs + pauseMs };
}

/**
 * A joining member holds everything and asks for its arc. We stop to serve it at once, report the smaller arc to our
 * own grantor, and only then tell the newcomer: nobody who stands in for us later believes in the larger one.
 */
export function cede(turn: Turn, from: Member, callId: number): void {
  const { node } = turn;
  const { custody, self } = node;
  if (!servesNow(node) || custody.arcFrom === undefined || custody.isHandingOver) {
    const other = grantorOf(node);
    answer(
      turn,
      callId,
      other === undefined ? refusal('notResponsible') : { kind: 'askOther', member: other },
    );
    return;
  }
  if (custody.ceded !== undefined && custody.grantee !== undefined && sameLife(custody.ceded.to, from)) {
    if (custody.arcFrom === from.id) answer(turn, callId, cededAnswer(turn));
    else answer(turn, callId, refusal('notResponsible'));
    return;
  }
  if (!inOpenArc(from.id, custody.arcFrom, self.id)) {
    answer(turn, callId, notInArc(node, from));
    return;
  }
  if (custody.unchecked.length > 0 || !hasLease(node, turn.nowMs)) {
    answer(turn, callId, refusal('notSettled'));
    return;
  }
  giveArc(turn, from, custody.arcFrom);
  answer(turn, callId, cededAnswer(turn));
}

function giveArc(turn: Turn, to: Member, from: Identifier): void {
  const { node } = turn;
  const { leaseMs, grantRightMs } = node.config;
  const wasAlone = isAlone(node);
  // Who was alone needed no lease; from here on it is the newcomer's grantee like any other, from this moment.
  const ownGrantee: Grantee | undefined = wasAlone
    ? newGrantee(turn, node.self, to.id)
    : node.custody.grantee;
  if (wasAlone) {
    node.custody = {
      ...node.custody,
      leaseUntilMs: turn.nowMs + leaseMs,
      rightUntilMs: turn.nowMs + grantRightMs,
    };
  }
  changeCustody(turn, { arcFrom: to.id, grantee: newGrantee(turn, to, from) });
  const { sequence } = node.custody;
  node.custody = {
    ...node.custody,
    // With nobody else serving, there is nobody to report to.
    reportedSequence: wasAlone ? sequence : node.custody.reportedSequence,
    ceded: { to, from, grantee: ownGrantee, sequence },
  };
  node.schedule = { ...node.schedule, stabilizeAtMs: turn.nowMs };
}

/** `next` is given away together with the arc. */
function newGrantee(turn: Turn, member: Member, arcFrom: Identifier): Grantee {
  return extended(turn, {
    member,
    arcFrom,
    isExact: true,
    sequence: 0,
    leaseUntilMs: 0,
    rightUntilMs: 0,
    heardAtMs: turn.nowMs,
    next: undefined,
  });
}

function cededAnswer(turn: Turn): Answer {
  const { custody } = turn.node;
  const { ceded, grantee } = custody;
  if (ceded === undefined || grantee === undefined) return { kind: 'pending' };
  if (custody.reportedSequence < ceded.sequence && !isNobodyToReportTo(turn.node)) return { kind: 'pending' };
  return {
    kind: 'ceded',
    arcFrom: ceded.from,
    grant: ceded.grantee === undefined ? undefined : boundsOf(turn, ceded.grantee),
  };
}

/** Every other serving member's process is gone, and what it knew of our arc with it. */
function isNobodyToReportTo(node: NodeState): boolean {
  return node.table.serving.every(
    (member) => member.instanceId === node.self.instanceId || verdictOn(node, member)?.verdict === 'refused',
  );
}

function notInArc(node: NodeState, from: Member): Answer {
  const other = firstFrom(
    node.table.serving,
    from.id,
    ({ instanceId }) => instanceId !== from.instanceId && instanceId !== node.self.instanceId,
  );
  return other === undefined ? refusal('notResponsible') : { kind: 'askOther', member: other };
}

function refusal(reason: 'notResponsible' | 'notSettled'): Answer {
  return { kind: 'refused', reason, to: undefined };
}

/** A draining member has stopped to serve its arc and gives it to us, together with its grantee. */
export function acceptHandOver(
  turn: Turn,
  from: Member,
  offer: { readonly arcFrom: Identifier; readonly sequence: number; readonly grant: GrantBounds | undefined },
  callId: number,
): void {
  const { node } = turn;
  const { custody, self } = node;
  const known = findMember(node.table, from.id);
  if (known?.phase === 'left' && sameLife(known, from)) {
    answer(turn, callId, { kind: 'done' });
    return;
  }
  if (!servesNow(node) || custody.arcFrom === undefined || custody.isHandingOver) {
    const other = grantorOf(node);
    const isOther = other !== undefined && other.instanceId !== from.instanceId;
    answer(turn, callId, isOther ? { kind: 'askOther', member: other } : refusal('notResponsible'));
    return;
  }
  if (
    custody.arcFrom !== from.id ||
    custody.grantee === undefined ||
    !sameLife(custody.grantee.member, from)
  ) {
    answer(
      turn,
      callId,
      inOpenArc(from.id, custody.arcFrom, self.id) ? { kind: 'replaced' } : notInArc(node, from),
    );
    return;
  }
  if (offer.sequence < custody.grantee.sequence) {
    answer(turn, callId, refusal('notSettled'));
    return;
  }
  const isWhole = offer.arcFrom === self.id;
  changeCustody(turn, {
    arcFrom: offer.arcFrom,
    grantee: isWhole || offer.grant === undefined ? undefined : granteeFrom(turn, offer.grant),
  });
  learn(turn, { ...from, phase: 'left' });
  answer(turn, callId, { kind: 'done' });
}

/** Bounds told by another member are remaining times, so they end later here than there: the safe direction. */
export function granteeFrom(turn: Turn, bounds: GrantBounds): Grantee {
  return {
    member: bounds.member,
    arcFrom: bounds.arcFrom,
    isExact: false,
    sequence: 0,
    leaseUntilMs: turn.nowMs + bounds.leaseMs,
    rightUntilMs: turn.nowMs + bounds.rightMs,
    heardAtMs: turn.nowMs,
    next: undefined,
  };
}

/** What a creator, and the last one left, owns. */
export function ownWholeCircle(turn: Turn): void {
  changeCustody(turn, { arcFrom: turn.node.self.id, grantee: undefined });
}
