import { REPLICA_COUNT } from '../../domain/file-record.ts';
import { clockwiseDistance, type Identifier, identifier, inArc, RING_SIZE } from '../../domain/identifier.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import type { RingSnapshot } from '../ring/ring.ts';
import type { Arc } from '../store/store.ts';

/** A stretch between two neighbouring members, in which every key has the same replicas. */
export interface HeldArc {
  readonly arc: Arc;
  readonly current: readonly RingMember[];
  readonly next: readonly RingMember[];
  readonly writeSet: readonly RingMember[];
}

/**
 * The arcs this node must hold, own arc first, going back along the ring. The walk ends where R active members lie
 * between an arc and this node: no key beyond it can have this node among its replicas.
 */
export function heldArcs({ members, self }: Pick<RingSnapshot, 'members' | 'self'>): HeldArc[] {
  const own = members.findIndex(({ instanceId }) => instanceId === self.instanceId);
  if (own === -1) return [];
  const held: HeldArc[] = [];
  let activeCount = 0;
  for (let steps = 0; steps < members.length; steps++) {
    const end = members.at(own - steps);
    const before = members.at(own - steps - 1);
    if (end === undefined || before === undefined) break;
    if (steps > 0 && end.phase === 'active') activeCount++;
    if (activeCount >= REPLICA_COUNT) break;
    const replicas = replicasOf(end.id, members);
    if (replicas.writeSet.some(({ instanceId }) => instanceId === self.instanceId)) {
      held.push({ arc: { from: before.id, to: end.id }, ...replicas });
    }
  }
  return held;
}

/** What is left of the circle without `held`: whatever lies there belongs to others. */
export function foreignArcs(snapshot: Pick<RingSnapshot, 'members' | 'self'>): HeldArc[] {
  const { members, self } = snapshot;
  const isSelf = ({ instanceId }: RingMember) => instanceId === self.instanceId;
  return members.flatMap((end, i) => {
    const before = members.at(i - 1) ?? end;
    const replicas = replicasOf(end.id, members);
    return replicas.writeSet.some(isSelf) ? [] : [{ arc: { from: before.id, to: end.id }, ...replicas }];
  });
}

/** Equal parts of an arc, at most `count`; the arc itself when it has fewer keys than that. */
export function splitArc({ from, to }: Arc, count: number): Arc[] {
  const length = clockwiseDistance(from, to) || RING_SIZE;
  if (length < count) return [{ from, to }];
  const step = Math.ceil(length / count);
  const parts: Arc[] = [];
  for (let at = 0; at < length; at += step) {
    const end = Math.min(at + step, length);
    parts.push({ from: identifier((from + at) % RING_SIZE), to: identifier((from + end) % RING_SIZE) });
  }
  return parts;
}

/** The arcs for which this node has every acknowledged record. */
export class SyncedArcs {
  #arcs: Arc[] = [];

  includes(key: Identifier): boolean {
    return this.#arcs.some(({ from, to }) => inArc(key, from, to));
  }

  mark(arc: Arc): void {
    if (!this.covers(arc)) this.#arcs.push(arc);
  }

  /** Whether the marked arcs together leave no key of `arc` out. */
  covers({ from, to }: Arc): boolean {
    const length = clockwiseDistance(from, to) || RING_SIZE;
    for (let covered = 0; covered < length; ) {
      const first = identifier((from + covered + 1) % RING_SIZE);
      const marked = this.#arcs.find((candidate) => inArc(first, candidate.from, candidate.to));
      if (marked === undefined) return false;
      // From the first uncovered key up to the end of the arc that has it: at least that key.
      covered += clockwiseDistance(first, marked.to) + 1;
    }
    return true;
  }

  /**
   * After a change of the ring: keeps what was synced of the arcs this node holds now. A replica that stays one goes
   * on receiving every write, so it stays synced; what it no longer holds it will soon know less and less of.
   */
  retain(held: readonly Arc[]): void {
    this.#arcs = held.filter((arc) => this.covers(arc));
  }

  forgetAll(): void {
    this.#arcs = [];
  }
}
