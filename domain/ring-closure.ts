import { formatIdentifier } from './identifier.ts';
import { lastSignMs, type MemberRecord } from './member-record.ts';
import type { RingMeta } from './ring-meta.ts';
import { type PlacedMember, servingRing } from './serving-ring.ts';
import type { Timing } from './timing.ts';

/** Something about the ring as a whole that no single row shows. */
export interface RingFault {
  readonly kind: 'secondRing' | 'openRing';
  readonly finding: string;
  /** The last change of the membership before it: the same fault has the same time, however often it is found. */
  readonly sinceMs: number;
  /** Members of a ring that is not META's, when META's own ring is alive and larger. */
  readonly strays: readonly MemberRecord[];
}

interface RingSeen {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly nowMs: number;
  readonly timing: Pick<Timing, 'heartbeatStaleMs' | 'ringOpenMs'>;
}

/**
 * Whether the members' own reports make one ring: everybody serves META's ring id, and following successors from any
 * of them visits all and comes back. While somebody comes or goes the reports lag, so only what outlasts that counts.
 */
export function findRingFaults(seen: RingSeen): readonly RingFault[] {
  const { meta, members, nowMs, timing } = seen;
  const sinceMs = Math.max(0, ...members.map(({ stateMs }) => stateMs));
  if (meta.status !== 'ACTIVE' || nowMs - sinceMs <= timing.ringOpenMs) return [];
  return [...secondRing(seen, sinceMs), ...openRing(seen, sinceMs)];
}

function secondRing(seen: RingSeen, sinceMs: number): RingFault[] {
  const { meta, members } = seen;
  const serving = members.filter(
    (member) => (member.state === 'ACTIVE' || member.state === 'LEAVING') && isFresh(seen, member),
  );
  const others = serving.filter(({ ringId }) => ringId !== meta.ringId);
  if (others.length === 0) return [];
  const names = others.map(({ instanceId }) => instanceId).join(', ');
  const finding = `${names} serve a ring that is not ${meta.ringId}`;
  // A table that was restored from a backup looks the same, with everybody a stranger: then nothing is touched.
  const strays = others.length < serving.length - others.length ? others : [];
  return [{ kind: 'secondRing', finding, sinceMs, strays }];
}

function openRing(seen: RingSeen, sinceMs: number): RingFault[] {
  const ring = servingRing(seen.members, seen.meta.ringId);
  const visited = walk(seen, ring);
  const missed = ring.filter((member) => !visited.has(member));
  if (ring.length === 0 || missed.length === 0) return [];
  const names = missed.map(({ instanceId }) => instanceId).join(', ');
  const finding = `following successors from ${ring[0]?.instanceId} never comes to ${names}`;
  return [{ kind: 'openRing', finding, sinceMs, strays: [] }];
}

/** Follows reported successors from the first member until one repeats, or leads to nobody. */
function walk(seen: RingSeen, ring: readonly PlacedMember[]): ReadonlySet<PlacedMember> {
  const byPosition = new Map(ring.map((member) => [formatIdentifier(member.position), member]));
  const visited = new Set<PlacedMember>();
  let at = ring[0];
  while (at !== undefined && !visited.has(at)) {
    visited.add(at);
    at = byPosition.get(formatIdentifier(successorOf(seen, ring, at)));
  }
  return visited;
}

/** A silent member cannot be asked; that it is silent is another finding, so here the table speaks for it. */
function successorOf(seen: RingSeen, ring: readonly PlacedMember[], member: PlacedMember) {
  const byTable = ring[(ring.indexOf(member) + 1) % ring.length]?.position ?? member.position;
  return isFresh(seen, member) ? (member.usage?.successorId ?? byTable) : byTable;
}

function isFresh({ nowMs, timing }: RingSeen, member: MemberRecord): boolean {
  return nowMs - lastSignMs(member) <= timing.heartbeatStaleMs;
}
