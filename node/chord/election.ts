/**
 * Whether a silent member may be replaced. Silence proves nothing: it may be us who are cut off. So a majority of
 * all serving members, the silent one counted, must agree on the same list of members; in a ring of two, where
 * there is no majority without the other, one conditional write in the member table decides.
 */
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { becomeReplaced } from './fencing.ts';
import { findMember, isServing } from './member-table.ts';
import type { Answer } from './message.ts';
import { learnAll, publish } from './news.ts';
import type { Grantee, PendingCall } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { answer, askRegistry, call, freshId, servesNow, type Turn, withEntry } from './turn.ts';
import { hasVerdict, verdictOn } from './verdict.ts';

/** Pause between two rounds of the same vote. */
const ROUND_PAUSE_MS = 500;
/** How long a voter keeps its word: the condemned member gets no vote from it meanwhile. */
const CONDEMNED_MS = 5_000;
/** Pause before the table is asked to decide again. */
const ARBITRATION_PAUSE_MS = 1_000;

/** The vote, or the arbitration, went our way. */
export function hasWonAgainst({ node }: Turn, member: Member): boolean {
  return node.election?.isWon === true && sameLife(node.election.about, member);
}

export function isConfirmed(turn: Turn, { member, heardAtMs }: Grantee): boolean {
  const { registered, config, self } = turn.node;
  if (hasWonAgainst(turn, member)) return true;
  // The table is a superset of the ring: who is not in it was declared dead, or its instance is gone. An answer from
  // before we last heard the member proves nothing: it may have joined since.
  const isFresh = config.registry && registered !== undefined && registered.atMs > heardAtMs;
  // The same answer must know us, or it is we who are no member any more.
  if (!isFresh || registered.lives.get(self.instanceId) !== self.incarnation) return false;
  return registered.lives.get(member.instanceId) !== member.incarnation;
}

/** How often the member table is asked while a silent member holds an arc: it may have been declared dead there. */
const REGISTRY_PAUSE_MS = 5_000;

/**
 * Starts a round, unless one is open or the last one was just now. `isLast`: with that member gone we are alone, so
 * only the member table can tell whether it was not us who were replaced.
 */
export function seekConfirmation(turn: Turn, about: Member, { isLast }: { readonly isLast: boolean }): void {
  const { node } = turn;
  const open = node.election;
  if (open !== undefined && sameLife(open.about, about) && turn.nowMs < open.retryAtMs) return;
  const electors = node.table.serving;
  const voters = electors.filter(
    ({ instanceId }) =>
      instanceId !== node.self.instanceId && instanceId !== about.instanceId && !hasVerdict(node, instanceId),
  );
  const needed = Math.floor(electors.length / 2) + 1;
  const round = freshId(turn);
  const isPair = isLast || electors.length <= 2;
  node.election = {
    about,
    round,
    consents: 1,
    awaited: voters.length,
    needed,
    retryAtMs: turn.nowMs + (isPair ? ARBITRATION_PAUSE_MS : ROUND_PAUSE_MS + turn.random() * ROUND_PAUSE_MS),
    isWon: false,
  };
  const isStale = turn.nowMs - (node.registered?.atMs ?? Number.NEGATIVE_INFINITY) > REGISTRY_PAUSE_MS;
  if (isStale) {
    const registrySyncAtMs = Math.min(node.schedule.registrySyncAtMs, turn.nowMs + 2 * ROUND_PAUSE_MS);
    node.schedule = { ...node.schedule, registrySyncAtMs };
  }
  // When our lease was last valid we were more, or others: a majority of those may have replaced us since.
  const { pairedWith } = node.custody;
  if (isPair && (pairedWith === undefined || !sameLife(pairedWith, about))) return;
  if (isPair) {
    askRegistry(turn, { kind: 'arbitrate', against: [about] }, { kind: 'arbitrate', about });
    return;
  }
  if (voters.length + 1 < needed) return;
  const request = {
    kind: 'askVote',
    from: node.self,
    about,
    servingDigest: node.table.servingDigest,
  } as const;
  for (const voter of voters) call(turn, voter, request, { kind: 'vote', round });
}

/** The table has decided between two. */
export function arbitrated(turn: Turn, about: Member, isWon: boolean): void {
  const { node } = turn;
  if (!isWon) {
    becomeReplaced(turn);
    return;
  }
  // The table has buried it, so there is no way back, even if it has been heard again meanwhile.
  const entry = findMember(node.table, about.id);
  if (entry !== undefined && sameLife(entry, about)) publish(turn, { ...entry, phase: 'left' });
  const round = freshId(turn);
  // The table's word stands: asking again while the last lease runs out would only be a storm of writes.
  const retryAtMs = Number.POSITIVE_INFINITY;
  node.election = { about, round, consents: 1, awaited: 0, needed: 1, retryAtMs, isWon: true };
}

export function voteAnswered(turn: Turn, pending: PendingCall, reply: Answer): void {
  const { node } = turn;
  const { election } = node;
  if (pending.purpose.kind !== 'vote' || reply.kind !== 'vote') return;
  learnAll(turn, reply.changes);
  if (election === undefined || pending.purpose.round !== election.round) return;
  if (reply.changes.length > 0) return;
  const consents = election.consents + (reply.consent ? 1 : 0);
  node.election = { ...election, consents, isWon: election.isWon || consents >= election.needed };
}

/** Somebody wants our vote. We agree when we see the same ring, and nothing of the silent member either. */
export function vote(
  turn: Turn,
  request: { readonly from: Member; readonly about: Member; readonly servingDigest: number },
  callId: number,
): void {
  const { node } = turn;
  const { from, about, servingDigest } = request;
  const asker = findMember(node.table, from.id);
  const isElector = asker !== undefined && sameLife(asker, from) && isServing(asker.phase);
  const isSameRing = servingDigest === node.table.servingDigest;
  const word = node.condemned.get(from.instanceId) ?? Number.NEGATIVE_INFINITY;
  const isCondemned = word > turn.nowMs || node.election?.about.instanceId === from.instanceId;
  const consent =
    servesNow(node) &&
    // Whoever may have given its arc away has given its vote away with it.
    !node.custody.isHandingOver &&
    !node.custody.isUncertain &&
    isElector &&
    isSameRing &&
    !isCondemned &&
    about.instanceId !== node.self.instanceId &&
    isSilentToUs(turn, about);
  if (consent) {
    node.condemned = withEntry(node.condemned, about.instanceId, turn.nowMs + CONDEMNED_MS);
  }
  answer(turn, callId, { kind: 'vote', consent, changes: isSameRing ? [] : electorate(turn) });
}

/** What the asker may not know: its view of who serves differs from ours. */
function electorate({ node }: Turn): readonly RingMember[] {
  const buried = node.table.tombstones.map(({ member }) => member);
  return [...node.news.map(({ change }) => change), ...buried].slice(-32);
}

/** It has not been in touch with us while its lease ran out: not as our grantee, and not by an answer. */
function isSilentToUs(turn: Turn, about: Member): boolean {
  const { grantee } = turn.node.custody;
  if (verdictOn(turn.node, about) !== undefined) return true;
  const isGrantee = grantee?.member.instanceId === about.instanceId;
  return !isGrantee || turn.nowMs > grantee.heardAtMs + turn.node.config.leaseMs;
}
