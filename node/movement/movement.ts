import type { Identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { MovementProgress } from './progress.ts';

/**
 * One always-on mechanism for join, leave, crash, catch-up and repair: this node knows which arcs it must hold,
 * compares them with the other replicas, pulls what it lacks, and brings home what is not its own. The situations
 * differ only in what is waited for.
 */
export interface Movement {
  /** Begins comparing, now and after every change of the ring. Call once, when the node knows its place. */
  start(): void;
  /** Ends all work under way. Nothing is left half done that could not be done again. */
  stop(): Promise<void>;
  /** Resolves once this node has every acknowledged record of its arcs: after a restart it may serve then. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /**
   * For a node with phase `joining`: waits until all members send it their new writes, pulls everything of its arcs,
   * and enters `active`. Safe to repeat after a failure.
   */
  syncAsJoiner(signal: AbortSignal): Promise<void>;
  /**
   * Enters `draining`, waits until all members know, makes sure that those who come after hold everything, and
   * enters `left`. Until then the node goes on serving. Safe to repeat after a failure.
   */
  drain(signal: AbortSignal): Promise<void>;
  progress(): MovementProgress;
  /** One pass of garbage collection over the own arc now, beside the periodic ones. Resolves to what was removed. */
  collectGarbage(signal: AbortSignal): Promise<number>;
  isSynced(key: Identifier): boolean;
  maySpeakFor(key: Identifier): boolean;
  missed(member: RingMember): void;
  nudged(): void;
  recordStored(name: string): void;
}

export interface MovementTimings {
  /** Between comparisons when nothing is known to be missing. Lowered: idle traffic; raised: silent loss lasts longer. */
  readonly idleIntervalMs: number;
  /** After a change of the ring, how soon writes placed by the old view are looked for once more. */
  readonly settleMs: number;
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
  /**
   * From a member's death until its chunks are copied again. A reboot within it moves nothing; every second of it is
   * one in which a file has a copy less. Rings of tens of members copy little, so the default is short; a ring of
   * hundreds should wait 30 s.
   */
  readonly repairDelayMs: number;
  /** How long data that belongs elsewhere waits after the last change before it is brought home. */
  readonly foreignDelayMs: number;
  readonly garbageIntervalMs: number;
}

export const MOVEMENT_TIMINGS: MovementTimings = {
  idleIntervalMs: 60_000,
  settleMs: 2_000,
  firstRetryMs: 200,
  maxRetryMs: 2_000,
  repairDelayMs: 1_000,
  foreignDelayMs: 2_000,
  garbageIntervalMs: 60_000,
};
