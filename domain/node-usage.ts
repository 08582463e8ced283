import type { Identifier } from './identifier.ts';

/** Bytes of primary data (one copy, as owner) whose keys lie after the previous weight's `upTo`, up to this one. */
export interface ArcWeight {
  readonly upTo: Identifier;
  readonly bytes: number;
}

/** What the movement of a node's files is at, for people who watch: nothing is decided on it. */
export interface NodeMovement {
  /** `pulling`, `handing over`, ...: as the node's own status has it. */
  readonly state: string;
  readonly bytesLeft: number;
  readonly bytesPerSecond: number;
  /** At that rate; undefined while nothing moves. */
  readonly etaMs: number | undefined;
}

/**
 * What a node tells the control plane with every heartbeat. Placement and the scaling decision work on nothing else,
 * so they never have to ask a node.
 */
export interface NodeUsage {
  /** Bytes on the data volume, replicas and waste included, as `df` would say. */
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** File records this node owns. */
  readonly fileCount: number;
  /** The arc (predecessorId, own id] the node is responsible for; undefined while it owns none. */
  readonly predecessorId: Identifier | undefined;
  /** First serving successor; its own id when alone. The reconciler walks these to see that the ring closes. */
  readonly successorId: Identifier | undefined;
  /**
   * How the primary bytes lie in the arc, clockwise from the predecessor, the last entry ending at the own id; at
   * most MAX_ARC_WEIGHTS entries. More would place newcomers more exactly and make each heartbeat larger.
   */
  readonly arcWeights: readonly ArcWeight[];
  /** Undefined while nothing has to move. */
  readonly movement?: NodeMovement | undefined;
}

export const MAX_ARC_WEIGHTS = 16;
