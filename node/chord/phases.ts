/** A member's own way through its phases. */
import type { MemberPhase } from '../../domain/member.ts';
import { boundsOf, changeCustody, grantorOf, isAlone, ownWholeCircle } from './custody.ts';
import { becomeReplaced } from './fencing.ts';
import { EMPTY_TABLE, firstBefore, mergeMember } from './member-table.ts';
import type { Answer } from './message.ts';
import { learn, publishSelf } from './news.ts';
import { NO_CUSTODY } from './node-state.ts';
import { NO_POINTERS } from './ring-pointers.ts';
import { renewLeaseNow } from './stabilize.ts';
import { enterRing } from './timetable.ts';
import { granteeFrom } from './transfer.ts';
import { call, selfOf, type Turn, viewChanged } from './turn.ts';

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
    const successor = node.pointers.successorList[0];
    if (successor === undefined) postpone(turn);
    else call(turn, successor, { kind: 'activate', from: node.self }, { kind: 'activate' });
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
      if (node.config.memberTable) takeArc(turn, reply);
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
export function takeArc(turn: Turn, { arcFrom, grant }: Extract<Answer, { readonly kind: 'ceded' }>): void {
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
