import { NO_CUSTODY } from './node-state.ts';
import { NO_POINTERS } from './ring-pointers.ts';
import { type Turn, viewChanged } from './turn.ts';

/**
 * Others have taken this node's place (it was paused, or cut off). From this step on it answers for nothing and
 * points to nobody; the shell lets it join again as a newcomer with what it has on disk.
 */
export function becomeReplaced(turn: Turn): void {
  const { node } = turn;
  if (node.standing === 'replaced') return;
  node.standing = 'replaced';
  node.custody = NO_CUSTODY;
  node.pointers = NO_POINTERS;
  node.entering = undefined;
  node.join = undefined;
  node.admitting = undefined;
  node.election = undefined;
  node.revival = undefined;
  for (const lookupId of node.lookups.keys()) {
    if (lookupId >= 0) turn.effects.push({ kind: 'lookupEnded', lookupId, outcome: UNCONFIRMED });
  }
  node.lookups = new Map();
  for (const { callId } of node.waiting) {
    if (callId !== undefined) {
      turn.effects.push({
        kind: 'answer',
        callId,
        answer: { kind: 'notReady', self: node.self, isResuming: false },
      });
    }
  }
  node.waiting = [];
  viewChanged(turn);
  turn.effects.push({ kind: 'replaced' });
}

const UNCONFIRMED = { kind: 'unconfirmed', hops: 0, timeouts: 0 } as const;
