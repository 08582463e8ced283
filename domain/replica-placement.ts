import { REPLICA_COUNT } from './file-record.ts';
import type { Identifier } from './identifier.ts';
import type { Member, MemberPhase } from './member.ts';

/** A member together with its phase, as one node sees it. */
export interface RingMember extends Member {
  readonly phase: MemberPhase;
}

/** `members[i]` is responsible for a key when it is the first at or after it, going clockwise. */
function successorsOf(key: Identifier, members: readonly RingMember[], count: number): RingMember[] {
  const byId = [...members].sort((a, b) => a.id - b.id);
  const first = byId.findIndex((member) => member.id >= key);
  const start = first === -1 ? 0 : first;
  const chosen: RingMember[] = [];
  for (let i = 0; i < Math.min(count, byId.length); i++) {
    const member = byId[(start + i) % byId.length];
    if (member !== undefined) chosen.push(member);
  }
  return chosen;
}

/**
 * The one placement function: reads, writes, movement and repair all ask here.
 *
 * `current` serves: the owner (first) and the next R-1 members of those that own arcs now (active and draining).
 * `next` is what it will be once open joins and leaves are done (active and joining). Writes go to both, reads to
 * `current` alone, and ownership moves from one to the other only after the data has.
 *
 * `standIns` take the copy of a replica that cannot: the next R-1 active members. With any R-1 of all these gone, those
 * left are the replicas, so that whoever owns the key then finds the copy by comparing with the others.
 */
export function replicasOf(
  key: Identifier,
  members: readonly RingMember[],
): {
  readonly current: readonly RingMember[];
  readonly next: readonly RingMember[];
  readonly writeSet: readonly RingMember[];
  readonly standIns: readonly RingMember[];
} {
  const current = successorsOf(
    key,
    members.filter(({ phase }) => phase === 'active' || phase === 'draining'),
    REPLICA_COUNT,
  );
  const next = successorsOf(
    key,
    members.filter(({ phase }) => phase === 'active' || phase === 'joining'),
    REPLICA_COUNT,
  );
  const pending = next.filter((member) => !current.includes(member));
  const writeSet = [...current, ...pending];
  const active = members.filter(({ phase }) => phase === 'active');
  const standIns = successorsOf(key, active, writeSet.length + REPLICA_COUNT - 1)
    .filter((member) => !writeSet.includes(member))
    .slice(0, REPLICA_COUNT - 1);
  return { current, next, writeSet, standIns };
}
