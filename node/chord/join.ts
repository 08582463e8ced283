/**
 * The newcomer's way into the pointers (Zave's Join, with admission): find the ring, take the one admission lease,
 * see that the ring around the place is ideal, be admitted by the member after it, take the list of the member
 * before it, and hold the lease until both point to it. Anything that goes wrong begins the whole way anew.
 */
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { RegistryAnswer } from './event.ts';
import { EMPTY_TABLE, firstBefore, firstFrom } from './member-table.ts';
import type { Answer, PointersAnswer } from './message.ts';
import { learn, learnAll, publishSelf } from './news.ts';
import type { JoinState, PendingCall } from './node-state.ts';
import { successorListFrom } from './ring-pointers.ts';
import { contact } from './stabilize.ts';
import { askSurvey, isAsExpected } from './survey.ts';
import { enterRing } from './timetable.ts';
import { askRegistry, call, selfOf, type Turn, viewChanged } from './turn.ts';

const RETRY_MS = 200;
/** One way in, from the first contact to `joined`. Below the lease's own 30 s, so that it ends with us. */
const DEADLINE_MS = 15_000;
/** Between two looks whether both neighbours point to us. */
const SETTLE_MS = 60;

export function startJoin(turn: Turn, contacts: readonly Member[]): void {
  const { node } = turn;
  if (node.standing !== 'outside' && node.standing !== 'joining') return;
  node.standing = 'joining';
  node.phase = 'joining';
  node.join = { ...newJoin(turn, contacts), attempt: node.join?.attempt ?? 0 };
  askContact(turn);
}

function newJoin(turn: Turn, contacts: readonly Member[]): JoinState {
  return {
    step: 'contact',
    contacts: contacts.filter(({ instanceId }) => instanceId !== turn.node.self.instanceId),
    attempt: 0,
    fence: 0,
    successor: undefined,
    predecessor: undefined,
    awaited: 0,
    isIdeal: true,
    retryAtMs: Number.POSITIVE_INFINITY,
    deadlineMs: turn.nowMs + DEADLINE_MS,
  };
}

/** Any member of the ring tells everything it knows; later attempts ask others, those just learned among them. */
function askContact(turn: Turn): void {
  const { node } = turn;
  const join = node.join;
  if (join === undefined) return;
  const known = node.table.members.filter(({ instanceId }) => instanceId !== node.self.instanceId);
  const all: readonly Member[] = [...join.contacts, ...known];
  // All of them in vain: the member table may know others by now.
  if (join.attempt > 0 && join.attempt % Math.max(1, all.length) === 0) {
    askRegistry(turn, { kind: 'members' }, { kind: 'sync' });
  }
  const chosen = all[join.attempt % Math.max(1, all.length)];
  if (chosen === undefined) {
    // No contact at all: the member table may know one.
    askRegistry(turn, { kind: 'members' }, { kind: 'sync' });
    retryJoin(turn, 5 * RETRY_MS);
    return;
  }
  if (node.config.memberTable) {
    const request = { kind: 'exchange', from: selfOf(node), digests: [] } as const;
    call(turn, chosen, request, { kind: 'join', attempt: join.attempt });
  } else {
    node.join = { ...join, step: 'find' };
    const request = { kind: 'lookup', key: node.self.id, suspects: [] } as const;
    call(turn, chosen, request, { kind: 'join', attempt: join.attempt });
  }
}

/** What the member table lists now; those still joining know no more than we do. */
export function newContacts({ node }: Turn, members: readonly RingMember[]): void {
  const contacts = members.filter(
    ({ instanceId, phase }) => instanceId !== node.self.instanceId && phase !== 'joining',
  );
  if (node.join !== undefined && contacts.length > 0) node.join = { ...node.join, contacts };
}

/** Begins anew after a pause; the lease is given back meanwhile. */
export function retryJoin(turn: Turn, pauseMs = RETRY_MS): void {
  const { node } = turn;
  const join = node.join;
  if (join === undefined) return;
  if (join.fence !== 0) askRegistry(turn, { kind: 'releaseAdmission' }, { kind: 'report' });
  if (join.step === 'settle') {
    // Already in the pointers, so the way back is not open: stabilization finishes what admission began.
    finishJoin(turn);
    return;
  }
  node.join = {
    ...newJoin(turn, join.contacts),
    attempt: join.attempt + 1,
    retryAtMs: turn.nowMs + pauseMs * (0.5 + turn.random()),
    deadlineMs: Number.POSITIVE_INFINITY,
  };
}

/** A pause or a deadline is over. */
export function continueJoin(turn: Turn): void {
  const { node } = turn;
  const join = node.join;
  if (join === undefined || join.step === 'resume') return;
  if (turn.nowMs >= join.deadlineMs) {
    retryJoin(turn);
    return;
  }
  if (turn.nowMs < join.retryAtMs) return;
  node.join = { ...join, retryAtMs: Number.POSITIVE_INFINITY, deadlineMs: turn.nowMs + DEADLINE_MS };
  if (join.step === 'settle') lookWhetherSettled(turn, { ...join, deadlineMs: join.deadlineMs });
  else askContact(turn);
}

export function joinAnswered(turn: Turn, pending: PendingCall, reply: Answer): void {
  const { node } = turn;
  const join = node.join;
  if (pending.purpose.kind !== 'join' || pending.purpose.attempt !== join?.attempt) return;
  switch (join.step) {
    case 'contact':
      if (reply.kind === 'members') ringFound(turn, join, reply.members);
      else retryJoin(turn);
      return;
    case 'find':
      placeFound(turn, join, pending, reply);
      return;
    case 'admit':
      if (reply.kind === 'admitted') admitted(turn, join, reply);
      else retryJoin(turn);
      return;
    case 'joinAfter':
      if (reply.kind === 'pointers') placed(turn, join, pending.to, reply);
      else retryJoin(turn);
      return;
    default:
  }
}

function ringFound(
  turn: Turn,
  join: JoinState,
  members: Extract<Answer, { readonly kind: 'members' }>['members'],
): void {
  const { node } = turn;
  // What earlier attempts told may be a rumour that the ring has dropped since.
  node.table = EMPTY_TABLE;
  learnAll(turn, members);
  if (node.table.members.every(({ instanceId }) => instanceId === node.self.instanceId)) {
    retryJoin(turn);
    return;
  }
  if (!node.config.registry || !node.config.corrections.serialAdmission) {
    beginSurvey(turn, { ...join, fence: 0 });
    return;
  }
  node.join = { ...join, step: 'lease' };
  askRegistry(turn, { kind: 'acquireAdmission' }, { kind: 'joinLease' });
}

export function leaseForJoin(turn: Turn, reply: RegistryAnswer): void {
  const join = turn.node.join;
  if (join?.step !== 'lease') return;
  if (reply.kind !== 'admissionGranted') {
    retryJoin(turn, 2 * RETRY_MS);
    return;
  }
  turn.node.join = { ...join, fence: reply.fence };
  // While we waited for the lease the ring may have grown: the newest view is asked for again.
  beginSurvey(turn, { ...join, fence: reply.fence });
}

/** Between whom the place lies, by the table; then every member around it is asked where it stands. */
function beginSurvey(turn: Turn, join: JoinState): void {
  const { node } = turn;
  const { id, instanceId } = node.self;
  const isOther = (member: Member) => member.instanceId !== instanceId;
  const successor = firstFrom(node.table.members, id, isOther);
  const predecessor = firstBefore(node.table.members, id, isOther) ?? successor;
  if (successor === undefined || successor.id === id) {
    node.join = join;
    retryJoin(turn);
    return;
  }
  node.join = { ...join, successor, predecessor };
  if (node.config.corrections.serialAdmission) {
    const awaited = askSurvey(turn, join.attempt, successor.id);
    node.join = { ...join, successor, predecessor, step: 'survey', awaited, isIdeal: true };
  } else {
    askAdmission(turn, { ...join, successor, predecessor });
  }
}

export function surveyAnswered(turn: Turn, pending: PendingCall, reply: Answer | undefined): void {
  const { node } = turn;
  const join = node.join;
  if (pending.purpose.kind !== 'survey' || pending.purpose.attempt !== join?.attempt) return;
  const isRight = reply?.kind === 'pointers' && isAsExpected(reply, pending.purpose.expected);
  const next = { ...join, awaited: join.awaited - 1, isIdeal: join.isIdeal && isRight };
  node.join = next;
  if (join.step === 'survey' && next.awaited === 0) {
    if (next.isIdeal) askAdmission(turn, next);
    else retryJoin(turn);
  }
  if (join.step === 'settle' && next.awaited === 0) {
    if (next.isIdeal) finishJoin(turn);
    else node.join = { ...next, retryAtMs: turn.nowMs + SETTLE_MS };
  }
}

function askAdmission(turn: Turn, join: JoinState): void {
  if (join.successor === undefined) return;
  turn.node.join = { ...join, step: 'admit' };
  const request = { kind: 'admit', from: turn.node.self, fence: join.fence } as const;
  call(turn, join.successor, request, { kind: 'join', attempt: join.attempt });
}

/** Without table: a lookup by hand, through whoever answers. */
function placeFound(turn: Turn, join: JoinState, pending: PendingCall, reply: Answer): void {
  if (reply.kind === 'mine') {
    askAdmission(turn, { ...join, successor: reply.self });
    return;
  }
  const next = reply.kind === 'redirect' ? reply.to[0] : undefined;
  if (next === undefined || next.instanceId === pending.to.instanceId) {
    retryJoin(turn);
    return;
  }
  const request = { kind: 'lookup', key: turn.node.self.id, suspects: [] } as const;
  call(turn, next, request, { kind: 'join', attempt: join.attempt });
}

function admitted(turn: Turn, join: JoinState, reply: Extract<Answer, { readonly kind: 'admitted' }>): void {
  const { node } = turn;
  if (reply.minimumIncarnation > node.self.incarnation) {
    node.self = { ...node.self, incarnation: reply.minimumIncarnation };
    retryJoin(turn);
    return;
  }
  node.join = { ...join, step: 'joinAfter', predecessor: reply.predecessor };
  const request = { kind: 'joinAfter', from: node.self, fence: join.fence } as const;
  call(turn, reply.predecessor, request, { kind: 'join', attempt: join.attempt });
}

/** Zave's Join: the list is the predecessor's own, and the predecessor is the member that gave it. */
function placed(turn: Turn, join: JoinState, predecessor: Member, reply: PointersAnswer): void {
  const { node } = turn;
  const list = reply.pointers?.successorList ?? [];
  const successor = list[0] ?? predecessor;
  node.pointers = {
    predecessor,
    predecessorIsDead: false,
    successorList: successorListFrom(successor, list.slice(1), {
      self: node.self,
      length: node.config.successorListLength,
      corrections: node.config.corrections,
    }),
  };
  learn(turn, reply.self);
  enterRing(turn);
  node.join = { ...join, step: 'settle', successor, predecessor, retryAtMs: turn.nowMs + SETTLE_MS };
  contact(turn, successor);
  contact(turn, predecessor);
  publishSelf(turn);
}

/** The lease is held until both neighbours point to us: only then is the ring ideal again for the next. */
function lookWhetherSettled(turn: Turn, join: JoinState): void {
  const { node } = turn;
  const { predecessor, successorList } = node.pointers;
  const successor = successorList[0];
  if (predecessor === undefined || successor === undefined) {
    node.join = { ...join, retryAtMs: turn.nowMs + SETTLE_MS };
    return;
  }
  const calls = [
    { to: successor, expected: { predecessor: node.self, successorList: [] } },
    { to: predecessor, expected: { predecessor: undefined, successorList: [node.self] } },
  ];
  node.join = {
    ...join,
    awaited: calls.length,
    isIdeal: true,
    retryAtMs: Number.POSITIVE_INFINITY,
  };
  for (const { to, expected } of calls) {
    call(turn, to, { kind: 'describe' }, { kind: 'survey', attempt: join.attempt, expected });
  }
}

function finishJoin(turn: Turn): void {
  const { node } = turn;
  if (node.join === undefined) return;
  if (node.join.fence !== 0) askRegistry(turn, { kind: 'releaseAdmission' }, { kind: 'report' });
  node.join = undefined;
  turn.effects.push({ kind: 'joined' });
  viewChanged(turn);
}
