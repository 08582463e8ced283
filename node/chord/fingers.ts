/**
 * fix_fingers (TON 2003, fig. 6), for rings without member table: one finger a round, found by an ordinary lookup of
 * self + 2^i. With the table every member is a finger and nothing of this runs.
 */
import { clockwiseDistance, identifier } from '../../domain/identifier.ts';
import { startLookup } from './lookup.ts';
import { freshId, type Turn } from './turn.ts';

const BITS = 32;

/** Looks the next useful finger up: those that the successor list covers cost nothing and are left out. */
export function fixNextFinger(turn: Turn): void {
  const { node } = turn;
  if (node.config.memberTable || node.standing !== 'inside') return;
  const last = node.pointers.successorList.at(-1);
  if (last === undefined) return;
  const covered = clockwiseDistance(node.self.id, last.id);
  const index = node.fingers.next;
  const lowest = Math.ceil(Math.log2(covered + 1));
  const chosen = Math.max(index, lowest);
  if (chosen >= BITS) {
    node.fingers = { ...node.fingers, next: 0 };
    return;
  }
  node.fingers = { ...node.fingers, next: (chosen + 1) % BITS };
  startLookup(turn, -freshId(turn), identifier(node.self.id + 2 ** chosen), chosen);
}
