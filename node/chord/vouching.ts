import type { Member } from '../../domain/member.ts';
import type { Turn } from './turn.ts';

/** Soon, but not more often than this: while no lease can be had, the table may be the only one to ask. */
const TABLE_PAUSE_MS = 3_000;

/** Nobody in the ring can clear a doubt: the member table may. */
export function askTableSoon(turn: Turn): void {
  const { node } = turn;
  const dueAtMs = (node.registered?.atMs ?? Number.NEGATIVE_INFINITY) + TABLE_PAUSE_MS;
  const registrySyncAtMs = Math.min(node.schedule.registrySyncAtMs, Math.max(turn.nowMs, dueAtMs));
  node.schedule = { ...node.schedule, registrySyncAtMs };
}

/** By the table's word of just now that member and we are members, each in this life. */
export function isVouchedFor({ node, nowMs }: Turn, member: Member): boolean {
  const { registered, self } = node;
  if (registered === undefined || nowMs - registered.atMs > 2 * TABLE_PAUSE_MS) return false;
  const isListed = ({ instanceId, incarnation }: Member) => registered.lives.get(instanceId) === incarnation;
  return isListed(self) && isListed(member);
}
