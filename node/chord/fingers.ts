/**
 * fix_fingers (TON 2003, fig. 6), for rings without member table: one finger a round, found by an ordinary lookup of
 * its start. With the table every member is a finger and nothing of this runs.
 */
import { clockwiseDistance } from '../../domain/identifier.ts';
import { fingerStart, slotBeyond } from './finger-table.ts';
import { startLookup } from './lookup.ts';
import { freshId, type Turn } from './turn.ts';

/** Looks the next useful finger up: those that the successor list covers cost nothing and are left out. */
export function fixNextFinger(turn: Turn): void {
  const { node } = turn;
  if (node.config.memberTable || node.standing !== 'inside') return;
  const last = node.pointers.successorList.at(-1);
  if (last === undefined) return;
  const covered = clockwiseDistance(node.self.id, last.id);
  const { fingerBits } = node.config;
  const slot = slotBeyond(covered, node.fingers.next, fingerBits) ?? slotBeyond(covered, 0, fingerBits);
  if (slot === undefined) return;
  node.fingers = { ...node.fingers, next: slot + 1 };
  startLookup(turn, -freshId(turn), fingerStart(node.self.id, slot, fingerBits), slot);
}
