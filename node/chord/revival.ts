/**
 * All leases ran out at once: every machine was suspended, or the whole ring restarted. Nobody has the right to
 * grant, so nobody can be the first. One member walks round the circle of arcs: when each one's arc begins at the
 * member before it, back to where the walk began, nobody has been replaced, and the walk itself was the grant.
 */
import type { Member } from '../../domain/member.ts';
import { extended, grantorOf, hasRight, noteLease } from './custody.ts';
import type { Answer } from './message.ts';
import type { PendingCall } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { kick } from './timetable.ts';
import { answer, call, freshId, servesNow, type Turn } from './turn.ts';
import { askTableSoon } from './vouching.ts';

export function startRevival(turn: Turn): void {
  const { node } = turn;
  node.schedule = { ...node.schedule, reviveAtMs: Number.POSITIVE_INFINITY };
  const first = grantorOf(node);
  if (!servesNow(node) || hasRight(node, turn.nowMs) || first === undefined) return;
  if (node.custody.isDoubtful || node.custody.isUncertain) {
    askTableSoon(turn);
    return;
  }
  const round = freshId(turn);
  node.revival = { round, startedAtMs: turn.nowMs, last: node.self, visits: 0 };
  visit(turn, first, node.self, round);
}

function visit(turn: Turn, member: Member, last: Member, round: number): void {
  call(turn, member, { kind: 'revive', from: last, initiator: turn.node.self }, { kind: 'revive', round });
}

/** Somebody walks by. We promise the member before us its lease, and tell who comes after us. */
export function passRevival(turn: Turn, from: Member, callId: number): void {
  const { node } = turn;
  const { custody } = node;
  const next = grantorOf(node);
  const isLinked =
    servesNow(node) &&
    !custody.isHandingOver &&
    !custody.isUncertain &&
    !custody.isDoubtful &&
    custody.arcFrom === from.id &&
    custody.grantee !== undefined &&
    sameLife(custody.grantee.member, from);
  if (!isLinked || custody.grantee === undefined || next === undefined) {
    answer(turn, callId, { kind: 'refused', reason: 'notResponsible', to: undefined });
    return;
  }
  node.custody = { ...custody, grantee: extended(turn, custody.grantee) };
  answer(turn, callId, { kind: 'revived', next, hasRight: hasRight(node, turn.nowMs) });
}

export function revivalAnswered(turn: Turn, pending: PendingCall, reply: Answer): void {
  const { node } = turn;
  const { revival, self, custody } = node;
  if (pending.purpose.kind !== 'revive' || revival?.round !== pending.purpose.round) return;
  if (reply.kind !== 'revived') {
    endRevival(turn);
    return;
  }
  const isBack = reply.next.instanceId === self.instanceId;
  if (isBack && custody.grantee !== undefined && sameLife(custody.grantee.member, pending.to)) {
    noteLease(turn, revival.startedAtMs);
    endRevival(turn);
    return;
  }
  const isOver = reply.hasRight || isBack || revival.visits > node.table.serving.length;
  if (isOver) {
    endRevival(turn);
    return;
  }
  node.revival = { ...revival, last: pending.to, visits: revival.visits + 1 };
  visit(turn, reply.next, pending.to, revival.round);
}

export function endRevival(turn: Turn): void {
  turn.node.revival = undefined;
  kick(turn);
}
