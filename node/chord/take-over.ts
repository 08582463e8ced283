/**
 * Taking over the arc of the member before us that is gone, hung or cut off. We are its grantor, so nobody else may;
 * and we may only once it surely says "mine" no more:
 *  - its process is gone (refused twice): at once;
 *  - it is silent: when the lease we gave has run out, and a majority of the serving members agrees (or, in a ring
 *    of two, the member table decides), so that of two halves of a split ring at most one goes on;
 *  - it is listed as left by others: when the lease we gave has run out.
 * The arc of the member before *that* one may be known from hearsay alone: then the last lease that it may have
 * given to a newcomer within that arc is waited for, too, unless everybody who could hold one is gone as well.
 */
import { clockwiseDistance, type Identifier, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { changeCustody, hasLease } from './custody.ts';
import { hasWonAgainst, isConfirmed, seekConfirmation } from './election.ts';
import { findMember, firstBefore, lowerBound, membersBetween } from './member-table.ts';
import { publish } from './news.ts';
import type { Grantee, NodeState } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { suspect } from './suspicion.ts';
import { askRegistry, freshId, servesNow, type Turn, viewChanged } from './turn.ts';
import { verdictOn } from './verdict.ts';

/** Members taken over in one step at most; the rest follow in the next. */
const STEPS_PER_TURN = 16;

/** Looks at the grantee after every event; cheap when nothing is wrong. */
export function considerTakeOver(turn: Turn): void {
  for (let i = 0; i < STEPS_PER_TURN; i++) {
    const { node } = turn;
    const { grantee, isHandingOver } = node.custody;
    if (grantee === undefined || !servesNow(node) || isHandingOver) return;
    // Votes are about one silence: once the member is heard again, they are void.
    if (doubtOf(node, grantee).doubt === 'none') node.election = undefined;
    if (turn.nowMs < mayTakeOverAt(turn, grantee)) return;
    takeOver(turn, grantee);
  }
}

type Doubt = 'none' | 'left' | 'refused' | 'silent';

function doubtOf(node: NodeState, grantee: Grantee): { readonly doubt: Doubt; readonly sinceMs: number } {
  const { member } = grantee;
  const entry = findMember(node.table, member.id);
  if (entry !== undefined && (entry.phase === 'left' || !sameLife(entry, member))) {
    return { doubt: 'left', sinceMs: Number.NEGATIVE_INFINITY };
  }
  const suspicion = verdictOn(node, member);
  if (suspicion?.verdict === undefined) return { doubt: 'none', sinceMs: Number.POSITIVE_INFINITY };
  return { doubt: suspicion.verdict, sinceMs: suspicion.verdictAtMs };
}

/** The moment from which the grantee's arc may be ours; Infinity while it must not be. */
function mayTakeOverAt(turn: Turn, grantee: Grantee): number {
  const { node } = turn;
  const { leaseMs, leaseMarginMs, corrections } = node.config;
  const { doubt, sinceMs } = doubtOf(node, grantee);
  const isExact = grantee.isExact && grantee.arcFrom !== undefined;
  const lastLeaseMs = leaseMs + leaseMarginMs;
  // It may have given a part to a newcomer that we never heard of, and have granted to it to the end of its own right.
  const endsAtMs = isExact ? grantee.leaseUntilMs : grantee.rightUntilMs + lastLeaseMs;
  if (doubt === 'none') return Number.POSITIVE_INFINITY;
  // It may have accepted our arc, and have passed it on since: only the member table can tell that nobody has it.
  if (node.custody.isUncertain && !isLastListed(turn, grantee)) return Number.POSITIVE_INFINITY;
  if (turn.nowMs >= grantee.leaseUntilMs || doubt === 'refused') {
    if (!mayBeLast(turn, grantee)) return Number.POSITIVE_INFINITY;
  }
  switch (doubt) {
    case 'refused':
      return isExact || isEverybodyBetweenGone(turn, sinceMs) ? sinceMs : sinceMs + lastLeaseMs;
    case 'left':
      return endsAtMs;
    case 'silent':
      if (!corrections.leases || !corrections.majorityTakeOver) return endsAtMs;
      if (turn.nowMs < grantee.leaseUntilMs) return grantee.leaseUntilMs;
      seekConfirmation(turn, grantee.member, { isLast: false });
      return isConfirmed(turn, grantee) ? endsAtMs : Number.POSITIVE_INFINITY;
  }
}

/**
 * The live member before us takes us for its successor, and its table is the same as ours: so both know of everybody
 * who ever came between, and the processes of all of those are gone. What we know of their arcs may be old, but
 * nobody is left who could say "mine" for any part of them.
 */
function isEverybodyBetweenGone({ node }: Turn, sinceMs: number): boolean {
  const { agreed, pointers, self, table } = node;
  const { predecessor, predecessorIsDead } = pointers;
  if (agreed === undefined || agreed.atMs < sinceMs || predecessor === undefined || predecessorIsDead)
    return false;
  if (!sameLife(agreed.member, predecessor)) return false;
  return membersBetween(table.members, predecessor.id, self.id).every(
    (member) => verdictOn(node, member)?.verdict === 'refused',
  );
}

/**
 * Whoever ends up alone answers to nobody, so it must be sure that it was not replaced itself while it was away: by
 * a lease still valid, or by the member table's word.
 */
function mayBeLast(turn: Turn, grantee: Grantee): boolean {
  const { node } = turn;
  if (memberBefore(node, grantee) !== undefined || !node.config.registry) return true;
  if (hasLease(node, turn.nowMs)) return true;
  if (doubtOf(node, grantee).doubt === 'refused') reportDead(turn, grantee.member);
  seekConfirmation(turn, grantee.member, { isLast: true });
  return hasWonAgainst(turn, grantee.member) || isLastListed(turn, grantee);
}

/**
 * By the table's word, asked for after they were gone, every other serving member is: one that died later may have
 * replaced us before, and have let in somebody of whom neither the table nor we had heard by then.
 */
export function isLastListed(turn: Turn, { heardAtMs }: Grantee): boolean {
  const { registered, self } = turn.node;
  if (registered === undefined || registered.atMs <= heardAtMs) return false;
  const others = registered.serving.filter(({ instanceId }) => instanceId !== self.instanceId);
  const wasGone = (member: Member) => {
    const suspicion = verdictOn(turn.node, member);
    return suspicion?.verdict === 'refused' && suspicion.verdictAtMs <= registered.atMs;
  };
  return (
    registered.lives.get(self.instanceId) === self.incarnation &&
    others.every((member) => wasGone(member) || isResuming(turn, member))
  );
}

/** Long enough for a few of its questions to be lost. */
const RESUMING_MS = 2_000;

/** It said just now that it waits for its old place: it serves nothing. */
export function isResuming({ node, nowMs }: Turn, { instanceId, incarnation }: Member): boolean {
  const asked = node.resuming.get(instanceId);
  return asked?.incarnation === incarnation && nowMs < asked.atMs + RESUMING_MS;
}

/** Once per life: so that the table's next answer does not list it any longer. */
function reportDead(turn: Turn, member: Member): void {
  const { node } = turn;
  const key = `${member.instanceId}/${member.incarnation}`;
  if (node.reported.has(key)) return;
  node.reported = new Set(node.reported).add(key);
  askRegistry(turn, { kind: 'voteDead', member, evidence: 'refused' }, { kind: 'report', gone: member });
}

/** When the clock alone may change the outcome of `considerTakeOver`. */
export function takeOverWakeMs({ node, nowMs }: Turn): number {
  const { grantee } = node.custody;
  if (grantee === undefined || !servesNow(node)) return Number.POSITIVE_INFINITY;
  const { doubt, sinceMs } = doubtOf(node, grantee);
  if (doubt === 'none') return grantee.heardAtMs + silenceMs(node);
  const { leaseMs, leaseMarginMs } = node.config;
  const candidates = [
    sinceMs + leaseMs + leaseMarginMs,
    grantee.leaseUntilMs,
    grantee.rightUntilMs + leaseMs + leaseMarginMs,
    node.election?.retryAtMs ?? Number.POSITIVE_INFINITY,
  ];
  return Math.min(...candidates.filter((atMs) => atMs > nowMs), nowMs + 2 * leaseMs);
}

/** A grantee that is not heard for this long is asked; normally its own predecessor notices long before. */
function silenceMs({ config }: NodeState): number {
  return 2 * config.idlePeriodMs * (1 + config.jitter);
}

/** The owner of an arc hears nothing from the member before it: it goes and looks. */
export function checkSilence(turn: Turn): void {
  const { node } = turn;
  const { grantee } = node.custody;
  if (grantee === undefined || !servesNow(node)) return;
  if (turn.nowMs < grantee.heardAtMs + silenceMs(node)) return;
  node.custody = { ...node.custody, grantee: { ...grantee, heardAtMs: turn.nowMs } };
  suspect(turn, grantee.member);
}

function takeOver(turn: Turn, grantee: Grantee): void {
  const { node } = turn;
  const { member } = grantee;
  const { doubt } = doubtOf(node, grantee);
  const entry = findMember(node.table, member.id);
  const next = nextGrantee(turn, grantee, doubt);
  const from = next?.member.id ?? node.self.id;
  const checkId = freshId(turn);
  // Whoever ends up alone was vouched for (`mayBeLast`).
  const isDoubtful = next !== undefined && (node.custody.isDoubtful || !hasLease(node, turn.nowMs));
  changeCustody(turn, {
    isDoubtful,
    arcFrom: from,
    grantee: next,
    unchecked: [...node.custody.unchecked, { checkId, from, to: member.id }],
    ceded: undefined,
  });
  node.election = undefined;
  turn.effects.push({ kind: 'checkTakeOver', checkId, from, to: member.id });
  if (doubt !== 'left' && (entry === undefined || sameLife(entry, member))) {
    publish(turn, { ...member, phase: 'left' });
    const evidence = doubt === 'refused' ? 'refused' : 'silent';
    const gone = doubt === 'refused' ? { gone: member } : {};
    askRegistry(turn, { kind: 'voteDead', member, evidence }, { kind: 'report', ...gone });
  }
  if (doubt === 'refused') lookFurther(turn, member);
  viewChanged(turn);
}

/** Members asked after a death. Who dies together often stands together: a rack, a zone. */
const LOOKED_AT = 4;

/** Those before a member that died: is it alone? */
function lookFurther(turn: Turn, { id }: Member): void {
  const { serving } = turn.node.table;
  const at = lowerBound(serving, id);
  for (let i = 1; i <= Math.min(LOOKED_AT, serving.length - 1); i++) {
    const member = serving[(at - i + serving.length) % serving.length];
    if (member !== undefined) suspect(turn, member);
  }
}

/**
 * Whom we grant to from now on. The dead member may have granted until its end (or, if it only seemed dead, until
 * its own right ran out), and that bounds what the one before it may still believe.
 */
function nextGrantee(turn: Turn, gone: Grantee, doubt: Doubt): Grantee | undefined {
  const { node } = turn;
  const { leaseMs, grantRightMs, leaseMarginMs } = node.config;
  const member = memberBefore(node, gone);
  if (member === undefined) return undefined;
  const lastGrantMs = doubt === 'refused' ? turn.nowMs : Math.max(turn.nowMs, gone.rightUntilMs);
  const told = gone.next?.member.id === member.id ? gone.next : undefined;
  return {
    member,
    arcFrom: told?.arcFrom,
    isExact: false,
    sequence: 0,
    // It may hold a longer lease from somebody that the dead member itself had taken over from.
    leaseUntilMs: Math.max(lastGrantMs + leaseMs + leaseMarginMs, told?.leaseUntilMs ?? 0),
    rightUntilMs: Math.max(lastGrantMs + grantRightMs + leaseMarginMs, told?.rightUntilMs ?? 0),
    heardAtMs: turn.nowMs,
    next: undefined,
  };
}

function memberBefore(node: NodeState, grantee: Grantee): RingMember | undefined {
  const { member, arcFrom, next, isExact } = grantee;
  const { self } = node;
  // Going back past ourselves means that nobody is left before us.
  const isBefore = (id: Identifier) =>
    id !== self.id && clockwiseDistance(id, self.id) > clockwiseDistance(member.id, self.id);
  const before = firstBefore(
    node.table.serving,
    member.id,
    ({ instanceId }) => instanceId !== self.instanceId,
  );
  const known = before !== undefined && isBefore(before.id) ? before : undefined;
  // Hearsay may be older than a newcomer within that arc, of whom the table knows: the smaller claim can do no harm.
  const isWithin = known !== undefined && inOpenArc(known.id, arcFrom ?? self.id, member.id);
  if (!isExact && isWithin) return known;
  if (arcFrom === self.id) return undefined;
  if (arcFrom !== undefined && isBefore(arcFrom)) {
    if (next?.member.id === arcFrom) return { ...next.member, phase: 'active' };
    const entry = findMember(node.table, arcFrom);
    // A newcomer there is a later life: the one that owned the arc is over, and is taken over in its turn.
    if (entry?.phase === 'joining') return { ...entry, incarnation: entry.incarnation - 1, phase: 'left' };
    if (entry !== undefined) return entry;
  }
  return known;
}

export function takeOverChecked(turn: Turn, checkId: number): void {
  const { custody } = turn.node;
  turn.node.custody = {
    ...custody,
    unchecked: custody.unchecked.filter((arc) => arc.checkId !== checkId),
  };
}

/**
 * Entries that the chain of custody contradicts are old rumours: whoever is inside our arc serves no more. And a
 * newcomer that died on its way in, with nobody next to it left to notice, is buried by the owner of its place.
 */
export function buryContradicted(turn: Turn): void {
  const { node } = turn;
  const { arcFrom } = node.custody;
  if (arcFrom === undefined || !servesNow(node) || !hasLease(node, turn.nowMs)) return;
  for (const member of membersBetween(node.table.members, arcFrom, node.self.id)) {
    if (member.phase === 'joining' && verdictOn(node, member) === undefined) continue;
    publish(turn, { ...member, phase: 'left' });
  }
}
