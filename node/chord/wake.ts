import { takeOverWakeMs } from './take-over.ts';
import type { Turn } from './turn.ts';

/** The earliest moment at which something is due. */
export function wakeAt(turn: Turn): number {
  const { node } = turn;
  if (node.standing === 'replaced' || node.standing === 'gone') return Number.POSITIVE_INFINITY;
  let atMs = Math.min(
    node.join?.retryAtMs ?? Number.POSITIVE_INFINITY,
    node.join?.deadlineMs ?? Number.POSITIVE_INFINITY,
  );
  if (node.standing !== 'inside') return atMs;
  const { schedule } = node;
  atMs = Math.min(
    atMs,
    schedule.stabilizeAtMs,
    schedule.registrySyncAtMs,
    schedule.gossipAtMs,
    schedule.reviveAtMs,
    node.admitting?.untilMs ?? Number.POSITIVE_INFINITY,
    node.entering?.retryAtMs ?? Number.POSITIVE_INFINITY,
    takeOverWakeMs(turn),
  );
  for (const { nextProbeMs } of node.suspicions.values()) atMs = Math.min(atMs, nextProbeMs);
  for (const { untilMs } of node.waiting) atMs = Math.min(atMs, untilMs);
  for (const { retryAtMs } of node.lookups.values()) {
    if (retryAtMs !== undefined) atMs = Math.min(atMs, retryAtMs);
  }
  return atMs;
}
