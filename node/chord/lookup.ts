/**
 * Lookups, the asking side. With the member table: one call to the owner, who confirms. Whoever does not answer is
 * skipped for the next in line and named as a suspect; whoever is not the owner names better ones. Nobody is asked
 * twice, each hop is strictly closer, and a budget bounds them all.
 */
import { clockwiseDistance, type Identifier, inArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { hasLease, isResponsible } from './custody.ts';
import type { LookupOutcome } from './event.ts';
import { withFinger } from './finger-table.ts';
import type { Answer } from './message.ts';
import type { Bracket, LookupState, NodeState, PendingCall } from './node-state.ts';
import { routesTo } from './routing.ts';
import { renewLeaseNow } from './stabilize.ts';
import { noteTraffic } from './timetable.ts';
import { call, selfOf, type Turn, withEntry, withoutEntry } from './turn.ts';
import { hasVerdict } from './verdict.ts';

/** Before the same members are asked again: a take-over, or an activation, is under way. */
const RETRY_MS = 100;
const WHOLE_CIRCLE: Bracket = { after: 0, before: 2 ** 32 };
/** How long a lookup waits here for our own lease. */
export const LEASE_WAIT_MS = 1_000;

export function startLookup(
  turn: Turn,
  lookupId: number,
  key: Identifier,
  finger: number | undefined = undefined,
): void {
  const { node } = turn;
  if (node.standing !== 'inside') {
    endLookup(turn, lookupId, { kind: 'unconfirmed', hops: 0, timeouts: 0 });
    return;
  }
  const lookup: LookupState = {
    key,
    asked: new Set(),
    suspects: [],
    candidates: routesTo(node, key, []),
    hops: 0,
    timeouts: 0,
    bracket: WHOLE_CIRCLE,
    retryAtMs: undefined,
    finger,
  };
  node.lookups = withEntry(node.lookups, lookupId, lookup);
  proceed(turn, lookupId, lookup);
}

/** Asks the best candidate left; waits a little when there is none. */
function proceed(turn: Turn, lookupId: number, lookup: LookupState): void {
  const { node } = turn;
  const { key, hops, timeouts, asked } = lookup;
  if (isResponsible(node, key)) {
    answerOurselves(turn, lookupId, lookup);
    return;
  }
  if (hops >= node.config.hopBudget) {
    endLookup(turn, lookupId, { kind: 'unconfirmed', hops, timeouts });
    return;
  }
  const next = lookup.candidates.find(({ instanceId }) => !asked.has(instanceId));
  if (next === undefined) {
    const retryAtMs = turn.nowMs + RETRY_MS;
    // A round without result costs budget too: the wait is bounded.
    node.lookups = withEntry(node.lookups, lookupId, { ...lookup, retryAtMs, hops: hops + 1 });
    return;
  }
  node.lookups = withEntry(node.lookups, lookupId, {
    ...lookup,
    asked: new Set(asked).add(next.instanceId),
    hops: hops + 1,
    retryAtMs: undefined,
  });
  call(turn, next, { kind: 'lookup', key, suspects: lookup.suspects }, { kind: 'lookup', lookupId });
}

function answerOurselves(turn: Turn, lookupId: number, lookup: LookupState): void {
  const { node } = turn;
  if (hasLease(node, turn.nowMs) || !node.config.memberTable) {
    endLookup(turn, lookupId, found(selfOf(node), lookup));
    return;
  }
  node.lookups = withEntry(node.lookups, lookupId, {
    ...lookup,
    retryAtMs: turn.nowMs + RETRY_MS,
    hops: lookup.hops + 1,
  });
  if (lookup.hops >= node.config.hopBudget) {
    endLookup(turn, lookupId, { kind: 'unconfirmed', hops: lookup.hops, timeouts: lookup.timeouts });
    return;
  }
  noteTraffic(turn);
  if (!node.waiting.some((waiting) => waiting.lookupId === lookupId)) {
    node.waiting = [
      ...node.waiting,
      { callId: undefined, lookupId, key: lookup.key, untilMs: turn.nowMs + LEASE_WAIT_MS },
    ];
  }
  renewLeaseNow(turn);
}

/** Our lease came: the lookups that waited for it are answered. */
export function resumeOwnLookup(turn: Turn, lookupId: number): void {
  const lookup = turn.node.lookups.get(lookupId);
  if (lookup !== undefined && lookup.retryAtMs !== undefined) {
    proceed(turn, lookupId, { ...lookup, hops: Math.max(0, lookup.hops - 1) });
  }
}

/** Waits that are over begin again with a fresh look at the table. */
export function retryLookups(turn: Turn): void {
  for (const [lookupId, lookup] of turn.node.lookups) {
    if (lookup.retryAtMs === undefined || lookup.retryAtMs > turn.nowMs) continue;
    proceed(turn, lookupId, {
      ...lookup,
      asked: new Set(),
      candidates: routesTo(turn.node, lookup.key, lookup.suspects),
      suspects: [],
      bracket: WHOLE_CIRCLE,
    });
  }
}

export function lookupAnswered(turn: Turn, pending: PendingCall, reply: Answer): void {
  if (pending.purpose.kind !== 'lookup') return;
  const { lookupId } = pending.purpose;
  const lookup = turn.node.lookups.get(lookupId);
  if (lookup === undefined) return;
  if (reply.kind === 'mine') {
    endLookup(turn, lookupId, found(reply.self, lookup));
    return;
  }
  if (reply.kind !== 'redirect') {
    proceed(turn, lookupId, lookup);
    return;
  }
  const { node } = turn;
  if (!node.config.corrections.ownerConfirms && reply.to[0] !== undefined) {
    const claimed = reply.to[0];
    if (inArc(lookup.key, pending.to.id, claimed.id)) {
      endLookup(turn, lookupId, found(claimed, lookup));
      return;
    }
  }
  const bracket = narrowed(node, lookup, pending.to);
  const better = reply.to.filter((member) => isWithin(node, bracket, member));
  const left = stillUseful(node, { ...lookup, bracket });
  // Others still count on a member that we gave up: it may be back. It is asked when nobody else is left.
  const isTrusted = ({ instanceId }: RingMember) => !hasVerdict(node, instanceId);
  const candidates = [...better.filter(isTrusted), ...left, ...better.filter((member) => !isTrusted(member))];
  proceed(turn, lookupId, { ...lookup, candidates, bracket });
}

/**
 * Every answer of one that does not own the key takes a piece off the circle: whoever is named from then on lies
 * strictly between the nearest before the key and the nearest after it that have been asked.
 */
function narrowed({ self }: NodeState, { key, bracket }: LookupState, asked: Member): Bracket {
  const at = clockwiseDistance(self.id, asked.id);
  return at < clockwiseDistance(self.id, key)
    ? { ...bracket, after: Math.max(bracket.after, at) }
    : { ...bracket, before: Math.min(bracket.before, at) };
}

/** Never ourselves, nor anybody that leads back to where the lookup has been. */
function isWithin({ self, config }: NodeState, { after, before }: Bracket, named: Member): boolean {
  const at = clockwiseDistance(self.id, named.id);
  return !config.corrections.closerHops || (after < at && at < before);
}

/** Members tried on the way round a stretch of dead ones. Raised: longer walks when it is the owner that is silent. */
const WAY_ROUND = 4;

/**
 * Candidates from earlier answers. Past a member that stands behind the key there is no owner; and by fingers, where all
 * that an answer names may be dead, some of those farther before the key are kept as the way round.
 */
function stillUseful(node: NodeState, { candidates, bracket, asked }: LookupState): readonly RingMember[] {
  const within = candidates.filter((member) => isWithin(node, bracket, member));
  if (node.config.memberTable || !node.config.corrections.closerHops) return within;
  const distance = ({ id }: Member) => clockwiseDistance(node.self.id, id);
  const before = candidates
    .filter((member) => distance(member) <= bracket.after && !asked.has(member.instanceId))
    .filter(({ id }, i, all) => all.findIndex((other) => other.id === id) === i)
    .sort((a, b) => distance(b) - distance(a));
  return [...within, ...before.slice(0, WAY_ROUND)];
}

export function lookupFailed(turn: Turn, pending: PendingCall): void {
  if (pending.purpose.kind !== 'lookup') return;
  const { lookupId } = pending.purpose;
  const lookup = turn.node.lookups.get(lookupId);
  if (lookup === undefined) return;
  const suspects = [...lookup.suspects, pending.to.instanceId].slice(-8);
  proceed(turn, lookupId, {
    ...lookup,
    suspects,
    timeouts: lookup.timeouts + 1,
    candidates: [...lookup.candidates, ...routesTo(turn.node, lookup.key, suspects)],
  });
}

/** A lookup of ours for a finger has found its owner, who has answered just now. */
function fingerFound({ node }: Turn, slot: number, owner: RingMember): void {
  node.fingers = withFinger(node.fingers, { self: node.self.id, slot, owner, bits: node.config.fingerBits });
}

function found(owner: RingMember, { hops, timeouts }: LookupState): LookupOutcome {
  return { kind: 'found', owner, hops, timeouts };
}

function endLookup(turn: Turn, lookupId: number, outcome: LookupOutcome): void {
  const lookup = turn.node.lookups.get(lookupId);
  turn.node.lookups = withoutEntry(turn.node.lookups, lookupId);
  if (lookup?.finger !== undefined) {
    if (outcome.kind === 'found') fingerFound(turn, lookup.finger, outcome.owner);
    return;
  }
  turn.effects.push({ kind: 'lookupEnded', lookupId, outcome });
}
