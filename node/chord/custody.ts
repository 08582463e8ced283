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
import type { GrantBounds, LeaseAnswer, LeaseRequest } from './message.ts';
import { learn } from './news.ts';
import type { Custody, Grantee, NodeState } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { servesNow, type Turn } from './turn.ts';
import { hasVerdict } from './verdict.ts';
import { askTableSoon, isVouchedFor } from './vouching.ts';

/** Owner of the whole circle: needs no lease, for there is nobody to give one. */
export function isAlone({ custody, self }: NodeState): boolean {
  return custody.arcFrom === self.id;
}

/** The last one by somebody's word alone (a leaver without a lease handed over) is not sure until the table says so. */
function isSurelyAlone(node: NodeState): boolean {
  return isAlone(node) && !(node.custody.isDoubtful && node.config.registry);
}

export function hasLease(node: NodeState, nowMs: number): boolean {
  return isSurelyAlone(node) || nowMs < node.custody.leaseUntilMs || !node.config.corrections.leases;
}

/** Whether this member may grant leases, and with them speak about its arc at all. */
export function hasRight(node: NodeState, nowMs: number): boolean {
  return isSurelyAlone(node) || (nowMs < node.custody.rightUntilMs && !node.custody.isDoubtful);
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
function isBehindPredecessor({ pointers, self, config, newcomer }: NodeState, key: Identifier): boolean {
  const { predecessor, successorList } = pointers;
  const isLone = successorList.every(({ id }) => id === self.id);
  if (predecessor === undefined) return isLone || !config.corrections.keepDeadPredecessor;
  const isServing = newcomer === undefined || !sameLife(newcomer.member, predecessor);
  return inArc(key, isServing ? predecessor.id : newcomer.arcFrom, self.id);
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

/** Whom we grant to at that place; while a newcomer between us does not know its arc yet, we go on in its stead. */
export function granteeAt({ arcFrom, grantee, ceded }: Custody, { id }: Member): Grantee | undefined {
  if (ceded !== undefined && !ceded.isTold && ceded.grantee?.member.id === id) return ceded.grantee;
  return arcFrom === id ? grantee : undefined;
}

/** A member asks us, as its first serving successor, for its lease. */
export function grantLease(turn: Turn, from: RingMember, request: LeaseRequest): LeaseAnswer {
  const { node } = turn;
  const { custody, self, config } = node;
  if (!servesNow(node) || custody.arcFrom === undefined || custody.isHandingOver) return askNext(node);
  const { grantee, ceded } = custody;
  if (ceded !== undefined && !ceded.isTold && ceded.grantee?.member.id === from.id) {
    // The newcomer between us does not know its arc yet: until it is told, we go on in its place.
    if (config.corrections.incarnations && !sameLife(ceded.grantee.member, from)) return replacedByUs(turn);
    const noted = note(turn, ceded.grantee, from, request);
    node.custody = { ...custody, ceded: { ...ceded, grantee: noted } };
    return { kind: hasRight(node, turn.nowMs) ? 'granted' : 'noted' };
  }
  if (custody.arcFrom !== from.id || grantee === undefined) {
    return inOpenArc(from.id, custody.arcFrom, self.id) ? contested(turn, from, request) : askGrantee(node);
  }
  if (config.corrections.incarnations && !sameLife(grantee.member, from)) return replacedByUs(turn);
  node.custody = { ...custody, grantee: note(turn, grantee, from, request) };
  return { kind: hasRight(node, turn.nowMs) ? 'granted' : 'noted' };
}

/**
 * It claims to serve from within our arc. With a lease we know better. Without one, either may be wrong; if the
 * member table lists us both we give way, for a claim made smaller can do no harm.
 */
function contested(turn: Turn, from: RingMember, request: LeaseRequest): LeaseAnswer {
  const { node } = turn;
  if (hasLease(node, turn.nowMs) || hasRight(node, turn.nowMs)) return replacedByUs(turn);
  if (!isVouchedFor(turn, from)) {
    askTableSoon(turn);
    return { kind: 'noRight' };
  }
  const unknown: Grantee = {
    member: from,
    arcFrom: undefined,
    isExact: false,
    sequence: 0,
    leaseUntilMs: turn.nowMs,
    rightUntilMs: turn.nowMs,
    heardAtMs: turn.nowMs,
    next: undefined,
  };
  changeCustody(turn, {
    arcFrom: from.id,
    grantee: note(turn, extended(turn, unknown), from, request),
    unchecked: node.custody.unchecked.filter((arc) => !inArc(from.id, arc.from, arc.to)),
    ceded: undefined,
  });
  return { kind: 'noted' };
}

function askGrantee({ custody, table }: NodeState): LeaseAnswer {
  const between = custody.grantee === undefined ? undefined : findMember(table, custody.grantee.member.id);
  if (between === undefined || between.phase === 'left') return { kind: 'noRight' };
  return { kind: 'askOther', member: between };
}

/** What the grantee tells about its arc, unless it has told later news already; with a lease if we may give one. */
function note(turn: Turn, grantee: Grantee, from: RingMember, request: LeaseRequest): Grantee {
  const next = request.grantee;
  // It is giving an arc to a newcomer, who is an elector from then on: whoever counts votes must know (2 -> 3).
  if (next !== undefined) noteElector(turn, next.member);
  const told: Grantee =
    request.sequence < grantee.sequence
      ? grantee
      : {
          ...grantee,
          member: from,
          arcFrom: request.arcFrom,
          isExact: true,
          sequence: request.sequence,
          next:
            next === undefined
              ? undefined
              : {
                  member: next.member,
                  arcFrom: next.arcFrom,
                  leaseUntilMs: turn.nowMs + next.leaseMs,
                  rightUntilMs: turn.nowMs + next.rightMs,
                },
        };
  const heard = { ...told, heardAtMs: turn.nowMs };
  return hasRight(turn.node, turn.nowMs) ? extended(turn, heard) : heard;
}

function noteElector(turn: Turn, member: Member): void {
  const entry = findMember(turn.node.table, member.id);
  if (entry?.phase === 'joining' && sameLife(entry, member)) learn(turn, { ...entry, phase: 'active' });
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

/** The other one of a ring of two. */
export function pairOf({ table, self }: NodeState): Member | undefined {
  if (table.serving.length > 2) return undefined;
  return table.serving.find(({ instanceId }) => instanceId !== self.instanceId);
}

/** The lease counts from when it was asked for, so it ends here before it ends at the grantor. */
export function noteLease(turn: Turn, sentAtMs: number): void {
  const { node } = turn;
  const { leaseMs, grantRightMs } = node.config;
  node.custody = {
    ...node.custody,
    leaseUntilMs: Math.max(node.custody.leaseUntilMs, sentAtMs + leaseMs),
    rightUntilMs: Math.max(node.custody.rightUntilMs, sentAtMs + grantRightMs),
    pairedWith: pairOf(node),
    isDoubtful: false,
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

/** What a creator, and the last one left, owns. */
export function ownWholeCircle(turn: Turn): void {
  changeCustody(turn, { arcFrom: turn.node.self.id, grantee: undefined });
}
