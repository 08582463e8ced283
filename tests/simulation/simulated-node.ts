import type { Member } from '../../domain/member.ts';
import type { ChordConfig } from '../../node/chord/config.ts';
import type { ChordEvent } from '../../node/chord/event.ts';
import { createNode, type NodeState } from '../../node/chord/step.ts';

/** One machine: its process may be up, down or frozen, and each start of it is a new life. */
export class SimulatedNode {
  member: Member;
  state: NodeState;
  isUp = false;
  isFrozen = false;
  /** Distinguishes lives of the process: what was meant for an older one is dropped. */
  life = 0;
  /** What arrived while it was frozen. */
  readonly backlog: ChordEvent[] = [];
  /** When the pending wake-up is due, to plan no second one. */
  wakePlannedMs = Number.POSITIVE_INFINITY;
  startedWith: readonly Member[] | undefined;
  /** It wants to leave, and restarts no more. */
  isLeaving = false;
  isGone = false;
  readonly clockRate: number;
  readonly clockOffsetMs: number;

  constructor(
    member: Member,
    config: ChordConfig,
    clock: { readonly rate: number; readonly offsetMs: number },
  ) {
    this.member = member;
    this.state = createNode(member, config);
    this.clockRate = clock.rate;
    this.clockOffsetMs = clock.offsetMs;
  }

  /** The node's own monotonic clock: another origin, and not quite the same pace. */
  localMs(nowMs: number): number {
    return nowMs * this.clockRate + this.clockOffsetMs;
  }

  globalMs(localMs: number): number {
    return (localMs - this.clockOffsetMs) / this.clockRate;
  }

  get isInside(): boolean {
    return this.isUp && this.state.standing === 'inside';
  }

  get isServing(): boolean {
    return this.isInside && (this.state.phase === 'active' || this.state.phase === 'draining');
  }

  /** Neighbours talk so often that their connection stands. */
  isConnectedTo({ instanceId }: Member): boolean {
    const { predecessor, successorList } = this.state.pointers;
    const neighbours = [predecessor, successorList[0], this.state.custody.grantee?.member];
    return neighbours.some((member) => member?.instanceId === instanceId);
  }
}
