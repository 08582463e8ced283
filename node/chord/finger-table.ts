import { clockwiseDistance } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Turn } from './turn.ts';

/** Fingers kept at most: one for each bit. */
const MAX_FINGERS = 32;

/** A lookup of ours for a finger has found its owner, who has answered just now. */
export function fingerFound(turn: Turn, finger: RingMember): void {
  const { node } = turn;
  if (finger.instanceId === node.self.instanceId) return;
  const others = node.fingers.members.filter(({ id }) => id !== finger.id);
  const members = [...others, finger].sort(
    (a, b) => clockwiseDistance(node.self.id, a.id) - clockwiseDistance(node.self.id, b.id),
  );
  node.fingers = { ...node.fingers, members: members.slice(0, MAX_FINGERS) };
}
