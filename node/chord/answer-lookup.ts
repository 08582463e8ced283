/** Lookups, the answering side: only the owner says "mine", and only with a valid lease. */
import type { Identifier } from '../../domain/identifier.ts';
import { hasLease, isResponsible } from './custody.ts';
import { LEASE_WAIT_MS, resumeOwnLookup } from './lookup.ts';
import { routesTo } from './routing.ts';
import { renewLeaseNow } from './stabilize.ts';
import { suspect } from './suspicion.ts';
import { noteTraffic } from './timetable.ts';
import { answer, selfOf, type Turn } from './turn.ts';

/** Lookups that may wait for our lease at once; more are sent away to try again. */
const MAX_WAITING = 1_024;

export function answerLookup(
  turn: Turn,
  request: { readonly key: Identifier; readonly suspects: readonly string[] },
  callId: number,
): void {
  const { node } = turn;
  if (node.standing !== 'inside') {
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: node.standing === 'resuming' });
    return;
  }
  if (isResponsible(node, request.key)) {
    noteTraffic(turn);
    if (hasLease(node, turn.nowMs) || !node.config.memberTable) {
      answer(turn, callId, { kind: 'mine', self: selfOf(node) });
      return;
    }
    if (node.waiting.length >= MAX_WAITING) {
      answer(turn, callId, { kind: 'pending' });
      return;
    }
    const untilMs = turn.nowMs + LEASE_WAIT_MS;
    node.waiting = [...node.waiting, { callId, lookupId: undefined, key: request.key, untilMs }];
    renewLeaseNow(turn);
    return;
  }
  lookAt(turn, request.suspects);
  const to = routesTo(node, request.key, request.suspects);
  // By our table the key is ours, by the chain of custody not yet: the take-over is under way.
  const first = node.config.memberTable
    ? routesTo({ ...node, self: nobody(node) }, request.key, request.suspects)[0]
    : undefined;
  if (first?.instanceId === node.self.instanceId) answer(turn, callId, { kind: 'pending' });
  else answer(turn, callId, { kind: 'redirect', to });
}

/** A self that matches nobody, so that our own place in the table shows. */
function nobody(node: Turn['node']): Turn['node']['self'] {
  return { ...node.self, instanceId: '' };
}

/** The asker could not reach these: when one of them is our grantee or predecessor, it is ours to find out. */
function lookAt(turn: Turn, suspects: readonly string[]): void {
  const { custody, pointers } = turn.node;
  for (const member of [custody.grantee?.member, pointers.predecessor]) {
    if (member !== undefined && suspects.includes(member.instanceId)) suspect(turn, member);
  }
}

/** After every event: the lease may have come, the arc may have gone, the wait may be over. */
export function answerWaiting(turn: Turn): void {
  const { node } = turn;
  if (node.waiting.length === 0) return;
  const { waiting } = node;
  const isOver = ({ key, untilMs }: (typeof waiting)[number]) =>
    untilMs <= turn.nowMs || !isResponsible(node, key) || hasLease(node, turn.nowMs);
  if (!waiting.some(isOver)) return;
  node.waiting = waiting.filter((entry) => !isOver(entry));
  for (const entry of waiting.filter(isOver)) {
    if (entry.lookupId !== undefined) resumeOwnLookup(turn, entry.lookupId);
    if (entry.callId === undefined) continue;
    const isMine = isResponsible(node, entry.key) && hasLease(node, turn.nowMs);
    answer(turn, entry.callId, isMine ? { kind: 'mine', self: selfOf(node) } : { kind: 'pending' });
  }
}
