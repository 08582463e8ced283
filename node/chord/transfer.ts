/** Arcs change hands between the living: given to a newcomer, or by a leaver. */
import { type Identifier, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { boundsOf, changeCustody, extended, granteeAt, grantorOf, hasLease, isAlone } from './custody.ts';
import { findMember, firstBefore, firstFrom } from './member-table.ts';
import type { Answer, GrantBounds } from './message.ts';
import { learn } from './news.ts';
import type { Ceded, Grantee, NodeState } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { isLastListed } from './take-over.ts';
import { answer, servesNow, type Turn } from './turn.ts';
import { verdictOn } from './verdict.ts';
import { askTableSoon } from './vouching.ts';

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
  const grantee = granteeAt(custody, from);
  if (grantee !== undefined && sameLife(grantee.member, from)) {
    answer(turn, callId, cededAnswer(turn, grantee));
    return;
  }
  if (!inOpenArc(from.id, custody.arcFrom, self.id)) {
    answer(turn, callId, notInArc(node, from));
    return;
  }
  // One at a time: what the last one was given is remembered only until it has been told.
  const isGiving = custody.ceded !== undefined && !custody.ceded.isTold;
  if (isGiving || custody.unchecked.length > 0 || !hasLease(node, turn.nowMs)) {
    answer(turn, callId, refusal('notSettled'));
    return;
  }
  const given = giveArc(turn, from, custody.arcFrom);
  answer(turn, callId, cededAnswer(turn, given));
}

function giveArc(turn: Turn, to: Member, from: Identifier): Grantee {
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
      pairedWith: to,
    };
  }
  const next =
    ownGrantee === undefined
      ? undefined
      : {
          member: ownGrantee.member,
          arcFrom: ownGrantee.arcFrom,
          leaseUntilMs: ownGrantee.leaseUntilMs,
          rightUntilMs: ownGrantee.rightUntilMs,
        };
  const given: Grantee = { ...newGrantee(turn, to, from), next };
  changeCustody(turn, { arcFrom: to.id, grantee: given });
  const { sequence } = node.custody;
  node.custody = {
    ...node.custody,
    // With nobody else serving, there is nobody to report to.
    reportedSequence: wasAlone ? sequence : node.custody.reportedSequence,
    ceded: { to, from, grantee: ownGrantee, sequence, isTold: false },
  };
  node.schedule = { ...node.schedule, stabilizeAtMs: turn.nowMs };
  return given;
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

/**
 * What the newcomer is told, each time it asks. The member that gave it the arc may be gone, or the arc may have come
 * to us together with its own: then we know the newcomer's arc from hearsay, and bound what is unknown.
 */
function cededAnswer(turn: Turn, grantee: Grantee): Answer {
  const { node } = turn;
  const { custody } = node;
  const ceded =
    custody.ceded !== undefined && sameLife(custody.ceded.to, grantee.member) ? custody.ceded : undefined;
  if (ceded !== undefined && custody.reportedSequence < ceded.sequence && !mayTellUnreported(turn, ceded)) {
    return { kind: 'pending' };
  }
  const arcFrom = ceded?.from ?? grantee.arcFrom ?? guessedArcFrom(turn, grantee);
  if (arcFrom === undefined) return refusal('notSettled');
  if (ceded !== undefined) node.custody = { ...custody, ceded: { ...ceded, isTold: true } };
  const before = ceded?.grantee ?? inheritedGrantee(turn, grantee, arcFrom);
  if (before === undefined && arcFrom !== grantee.member.id) return refusal('notSettled');
  return { kind: 'ceded', arcFrom, grant: before === undefined ? undefined : boundsOf(turn, before) };
}

/**
 * Who gave the newcomer its arc took the knowledge with it. The newcomer has not served yet (it still asks), so once
 * every lease from then has surely run out, its arc begins at the serving member before it.
 */
function guessedArcFrom(turn: Turn, grantee: Grantee): Identifier | undefined {
  const { node } = turn;
  const { leaseMs, leaseMarginMs } = node.config;
  if (turn.nowMs < grantee.leaseUntilMs + leaseMs + leaseMarginMs) return undefined;
  const { id, instanceId } = grantee.member;
  return firstBefore(node.table.serving, id, (member) => member.instanceId !== instanceId)?.id;
}

/** Whom the owner of an arc grants to when that is not known for sure: bounded as if it had granted just now. */
export function inheritedGrantee(turn: Turn, { next }: Grantee, arcFrom: Identifier): Grantee | undefined {
  const { node } = turn;
  const told = next?.member.id === arcFrom ? next : undefined;
  const member = told?.member ?? (arcFrom === node.self.id ? node.self : findMember(node.table, arcFrom));
  if (member === undefined) return undefined;
  return { ...newGrantee(turn, member, arcFrom), arcFrom: told?.arcFrom, isExact: false };
}

/**
 * Every other serving member's process is gone, and what it knew of our arc with it. But before it died one of them
 * may have replaced us, and have passed our arc on: not while our lease is valid, and not if the member table, asked
 * after they died, lists us and nobody else.
 */
function mayTellUnreported(turn: Turn, { grantee }: Ceded): boolean {
  const { node } = turn;
  const isEverybodyGone = node.table.serving.every(
    (member) => member.instanceId === node.self.instanceId || verdictOn(node, member)?.verdict === 'refused',
  );
  if (!isEverybodyGone) return false;
  if (hasLease(node, turn.nowMs) || !node.config.registry) return true;
  if (grantee !== undefined && isLastListed(turn, grantee)) return true;
  askTableSoon(turn);
  return false;
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
    isDoubtful: custody.isDoubtful || !hasLease(node, turn.nowMs),
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
