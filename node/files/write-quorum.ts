import { WRITE_QUORUM } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Replicas } from './placement.ts';

/** What became of the copy for one replica, by instance id; absent: not known yet. */
export type Outcomes = ReadonlyMap<string, 'durable' | 'failed'>;

/** Whether enough of these replicas have it. */
export function hasQuorum(replicas: readonly RingMember[], outcomes: Outcomes): boolean {
  const durableCount = replicas.filter(({ instanceId }) => outcomes.get(instanceId) === 'durable').length;
  return durableCount >= Math.min(WRITE_QUORUM, replicas.length);
}

/**
 * When a write may be acknowledged: once all replicas have it; or, when some could not take it, if a quorum of those
 * that serve now has it *and* a quorum of those that will serve once open joins and leaves are done. The second half
 * is Raft's joint consensus: without it a write could be acknowledged by exactly the members that are about to go,
 * and two replicas of the next configuration would not know of it.
 */
export function writeVerdict(replicas: Replicas, outcomes: Outcomes): 'acknowledge' | 'refuse' | 'wait' {
  if (replicas.current.length === 0) return 'refuse';
  if (replicas.writeSet.some(({ instanceId }) => !outcomes.has(instanceId))) return 'wait';
  return hasQuorum(replicas.current, outcomes) && hasQuorum(replicas.next, outcomes)
    ? 'acknowledge'
    : 'refuse';
}

/** How many replicas must be asked so that at least one of them knows of every acknowledged write. */
export function readQuorum(replicaCount: number): number {
  return replicaCount - Math.min(WRITE_QUORUM, replicaCount) + 1;
}
