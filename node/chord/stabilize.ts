/**
 * Ring maintenance in one call per period: StabilizeFromSuccessor, notify and lease renewal together (TON 2003,
 * IV-E, as corrected by Zave, TSE 2017, III). Hearing it is the successor's check_predecessor.
 *
 * Notifying along with the query is safe because rectify only ever adopts a closer notifier, or replaces a dead one.
 */
import { inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { grantLease, grantorOf, isAlone, leaseAnswered, leaseRequest } from './custody.ts';
import { exchangeWith } from './exchange.ts';
import { findMember } from './member-table.ts';
import type { Answer, Pointers, PointersAnswer, StabilizeRequest } from './message.ts';
import { noteNewcomer } from './newcomer.ts';
import { learn, learnAll, nearestKnown, newsFor, newsUpTo, noteTold } from './news.ts';
import type { PendingCall, Purpose } from './node-state.ts';
import { pointersDigest, rectify, sameLife, successorListFrom } from './ring-pointers.ts';
import { suspect } from './suspicion.ts';
import { kick, roundEnded, scheduleNext } from './timetable.ts';
import { answer, call, isAwaiting, selfOf, type Turn } from './turn.ts';
import { hasVerdict } from './verdict.ts';

type HeartbeatKind = 'stabilize' | 'candidate' | 'lease';

/** A period is over. */
export function stabilize(turn: Turn): void {
  const { node } = turn;
  scheduleNext(turn);
  const successor = chooseSuccessor(turn);
  if (successor !== undefined) heartbeat(turn, successor, 'stabilize');
  renewLease(turn, successor);
  if (successor === undefined) {
    node.schedule = { ...node.schedule, periodMs: node.config.stabilizePeriodMs };
    if (node.config.memberTable && isAlone(node)) forgetDeadPredecessor(turn);
  }
}

/** The last one standing: nobody is left who could ever replace the predecessor, so its place is free again. */
export function forgetDeadPredecessor({ node }: Turn): void {
  const { pointers } = node;
  if (pointers.predecessorIsDead && pointers.successorList.length === 0) {
    node.pointers = { ...pointers, predecessor: undefined, predecessorIsDead: false };
  }
}

/**
 * The head of the list; when the list is exhausted, whoever is known after us, to be contacted before it is adopted:
 * a lone member takes its predecessor (Zave), then the member table is asked.
 */
function chooseSuccessor(turn: Turn): Member | undefined {
  const { node } = turn;
  const { predecessor, predecessorIsDead, successorList } = node.pointers;
  const head = successorList.find(({ instanceId }) => !hasVerdict(node, instanceId));
  if (head !== undefined) return head;
  const known = nearestKnown(turn, node.self.id);
  if (known !== undefined) return known;
  const isUsable =
    predecessor !== undefined && !predecessorIsDead && !hasVerdict(node, predecessor.instanceId);
  if (isUsable && predecessor.instanceId !== node.self.instanceId) return predecessor;
  if (node.config.corrections.registryFallback && predecessor !== undefined) {
    node.schedule = {
      ...node.schedule,
      registrySyncAtMs: Math.min(node.schedule.registrySyncAtMs, turn.nowMs),
    };
  }
  return undefined;
}

function heartbeat(turn: Turn, to: Member, kind: HeartbeatKind): void {
  const { node } = turn;
  const isOpen = (purpose: Purpose, target: Member) => purpose.kind === kind && sameLife(target, to);
  if (isAwaiting(node, isOpen)) return;
  const { heard } = node;
  const isGrantor = grantorOf(node)?.instanceId === to.instanceId;
  const request: StabilizeRequest = {
    kind: 'stabilize',
    from: selfOf(node),
    notify: kind !== 'lease',
    knownDigest: heard !== undefined && heard.instanceId === to.instanceId ? heard.digest : 0,
    lease: isGrantor ? leaseRequest(turn) : undefined,
    changes: newsFor(turn, to),
    tableDigest: node.table.digest,
  };
  call(turn, to, request, { kind, newsSequence: newsUpTo(turn, to) });
}

/** Joining members stand between us and our grantor: then the lease needs a call of its own. */
export function renewLease(turn: Turn, asked: Member | undefined): void {
  const { node } = turn;
  const grantor = grantorOf(node);
  if (grantor === undefined || grantor.instanceId === asked?.instanceId) return;
  if (leaseRequest(turn) === undefined) return;
  heartbeat(turn, grantor, 'lease');
}

/** A lookup waits for the lease: renew it now, whatever the timetable says. */
export function renewLeaseNow(turn: Turn): void {
  renewLease(turn, undefined);
}

/** The callee's side: exchange news, rectify, grant. */
export function answerStabilize(turn: Turn, request: StabilizeRequest, callId: number): void {
  const { node } = turn;
  const { from } = request;
  if (node.standing !== 'inside') {
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: node.standing === 'resuming' });
    return;
  }
  learnAll(turn, request.changes);
  const isKnownDead = isPastLife(turn, from);
  if (!isKnownDead) {
    learn(turn, from);
    if (request.notify) notified(turn, from);
    if (isAdmittedAfterUs(turn, from)) contact(turn, from);
  }
  const lease = isKnownDead
    ? ({ kind: 'replaced' } as const)
    : request.lease === undefined
      ? undefined
      : grantLease(turn, from, request.lease);
  if (request.notify && !isKnownDead && request.tableDigest === node.table.digest) {
    node.agreed = { member: from, atMs: turn.nowMs };
  }
  answer(turn, callId, pointersAnswer(turn, from, { knownDigest: request.knownDigest, lease }));
}

/** A newcomer's other neighbour need not wait for its next round to look at it: it has just been heard. */
function isAdmittedAfterUs({ node }: Turn, from: RingMember): boolean {
  const head = node.pointers.successorList[0];
  if (from.phase !== 'joining' || !node.config.corrections.serialAdmission) return false;
  return head !== undefined && inOpenArc(from.id, node.self.id, head.id);
}

/** It was declared dead, and does not know it yet. */
function isPastLife(turn: Turn, from: RingMember): boolean {
  const entry = findMember(turn.node.table, from.id);
  if (!turn.node.config.corrections.incarnations || entry === undefined) return false;
  if (entry.incarnation > from.incarnation) return true;
  return entry.phase === 'left' && entry.incarnation === from.incarnation;
}

/** Rectify (Zave). A notifier farther away than our predecessor makes us look at the predecessor. */
function notified(turn: Turn, from: RingMember): void {
  const { node } = turn;
  const before = node.pointers.predecessor;
  const { rectifyChecks } = node.config.corrections;
  node.pointers = rectify(node.pointers, from, node.self, rectifyChecks);
  const after = node.pointers.predecessor;
  noteNewcomer(turn, from, before);
  if (node.admitting !== undefined && after?.instanceId === node.admitting.member.instanceId) {
    node.admitting = undefined;
  }
  if (after !== before) {
    if (before !== undefined && after !== undefined && !sameLife(before, after)) kick(turn);
    return;
  }
  if (after !== undefined && after.id !== from.id && !node.pointers.predecessorIsDead) suspect(turn, after);
}

export function pointersAnswer(
  turn: Turn,
  to: Member | undefined,
  options: { readonly knownDigest: number; readonly lease: PointersAnswer['lease'] },
): PointersAnswer {
  const { node } = turn;
  const digest = pointersDigest(node.pointers, node.custody.arcFrom, node.admitting !== undefined);
  const changes = to === undefined ? [] : newsFor(turn, to);
  if (to !== undefined) noteTold(turn, to, newsUpTo(turn, to));
  return {
    kind: 'pointers',
    self: selfOf(node),
    pointersDigest: digest,
    pointers: digest === options.knownDigest ? undefined : describe(turn),
    lease: options.lease,
    changes,
    tableDigest: node.table.digest,
  };
}

function describe({ node }: Turn): Pointers {
  return {
    predecessor: node.pointers.predecessor,
    predecessorIsDead: node.pointers.predecessorIsDead,
    successorList: node.pointers.successorList,
    arcFrom: node.custody.arcFrom,
    isAdmitting: node.admitting !== undefined,
  };
}

/** The caller's side: the answer of a successor, of a candidate, or of the grantor. */
export function heartbeatAnswered(turn: Turn, pending: PendingCall, reply: Answer): void {
  const { purpose, request, to } = pending;
  const { node } = turn;
  if (request.kind !== 'stabilize' || reply.kind !== 'pointers') {
    if (purpose.kind === 'stabilize') roundEnded(turn, true);
    return;
  }
  if (!('newsSequence' in purpose)) return;
  noteTold(turn, to, purpose.newsSequence);
  const before = node.table;
  learnAll(turn, reply.changes);
  learn(turn, reply.self);
  if (reply.lease !== undefined) {
    const sequence = request.lease?.sequence ?? 0;
    leaseAnswered(turn, reply.lease, { atMs: pending.sentAtMs, sequence });
  }
  if (node.standing !== 'inside') return;
  const pointers =
    reply.pointers ?? (node.heard?.instanceId === to.instanceId ? node.heard.pointers : undefined);
  if (pointers !== undefined && purpose.kind !== 'lease') {
    const isQuiet = adopt(turn, to, pointers) && before === node.table;
    node.heard = { instanceId: to.instanceId, digest: reply.pointersDigest, pointers };
    if (purpose.kind === 'stabilize') roundEnded(turn, isQuiet && !turn.node.custody.unchecked.length);
  }
  compareTables(turn, to, reply);
}

/** The same digest, or news under way: nothing to do. Otherwise the tables are compared bucket by bucket. */
function compareTables(turn: Turn, to: Member, reply: PointersAnswer): void {
  const { node } = turn;
  if (!node.config.memberTable || reply.tableDigest === node.table.digest) return;
  if (reply.changes.length > 0 || newsFor(turn, to).length > 0) return;
  if (node.schedule.quietRounds > 0) exchangeWith(turn, to);
}

/**
 * StabilizeFromSuccessor and StabilizeFromPredecessor: `member` has answered in this step, so it may be adopted as
 * successor with its whole list, unless a closer one is known by now. Its predecessor is asked before it is adopted.
 * True when nothing changed.
 */
function adopt(turn: Turn, member: Member, pointers: Pointers): boolean {
  const { node } = turn;
  const { corrections, successorListLength } = node.config;
  const head = node.pointers.successorList[0];
  const isCloser = head === undefined || head.id === member.id || isBetween(turn, member, head);
  if (!isCloser || isPastLife(turn, selfAs(turn, member))) return true;
  const rest = corrections.wholeLists ? pointers.successorList.filter((m) => !isBuried(turn, m)) : [];
  const successorList = successorListFrom(member, rest, {
    self: node.self,
    length: successorListLength,
    corrections,
  });
  const isSame = sameList(node.pointers.successorList, successorList);
  node.pointers = { ...node.pointers, successorList };
  const candidate = closerCandidate(turn, member, pointers);
  if (candidate !== undefined) {
    if (corrections.contactBeforeAdopt) heartbeat(turn, candidate, 'candidate');
    else adoptUnseen(turn, candidate);
    return false;
  }
  const isSettled = pointers.predecessor?.instanceId === node.self.instanceId;
  if (!isSame || !isSettled) kick(turn);
  return isSame && isSettled;
}

function selfAs({ node }: Turn, member: Member): RingMember {
  const entry = findMember(node.table, member.id);
  return { ...member, phase: entry?.phase ?? 'active' };
}

function isBetween({ node }: Turn, member: Member, head: Member): boolean {
  return inOpenArc(member.id, node.self.id, head.id);
}

/** Entries of a neighbour's list that we know to be over. Those in doubt stay: the list is for emergencies. */
function isBuried(turn: Turn, member: Member): boolean {
  const { table, config } = turn.node;
  if (!config.corrections.incarnations) return false;
  const entry = findMember(table, member.id);
  if (entry === undefined) return false;
  if (entry.phase === 'left') return entry.incarnation >= member.incarnation;
  return entry.incarnation > member.incarnation;
}

/** Somebody between us and our successor: by the successor's word, or by the member table. */
function closerCandidate(turn: Turn, successor: Member, pointers: Pointers): Member | undefined {
  const { node } = turn;
  const told = pointers.predecessor;
  const known = nearestKnown(turn, successor.id);
  const usable =
    told !== undefined &&
    !pointers.predecessorIsDead &&
    inOpenArc(told.id, node.self.id, successor.id) &&
    told.instanceId !== node.self.instanceId &&
    !hasVerdict(node, told.instanceId) &&
    !isBuried(turn, told)
      ? told
      : undefined;
  if (usable === undefined || known === undefined) return usable ?? known;
  return inOpenArc(known.id, node.self.id, usable.id) ? known : usable;
}

/** Chord as published: the pointer is taken on somebody's word. Only tests come here. */
function adoptUnseen(turn: Turn, candidate: Member): void {
  const { node } = turn;
  const { corrections, successorListLength } = node.config;
  const successorList = successorListFrom(candidate, node.pointers.successorList, {
    self: node.self,
    length: successorListLength,
    corrections,
  });
  node.pointers = { ...node.pointers, successorList };
  heartbeat(turn, candidate, 'stabilize');
}

function sameList(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member, i) => member.id === b[i]?.id);
}

/** We were told of a member by others, or by itself: contact it, and adopt it if it lives. */
export function contact(turn: Turn, member: Member): void {
  heartbeat(turn, member, 'candidate');
}
