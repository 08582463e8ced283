import type { Identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { NodeUsage } from '../../domain/node-usage.ts';
import type { Registry } from '../ring/registry.ts';

/**
 * The node's side of the control plane. Order of use, by node/main.ts:
 *
 * 1. `identify()`: who this machine is (instance metadata).
 * 2. `awaitAssignment()`: place on the ring, seeds, ring id, cluster key. A restarted node passes what it remembers.
 * 3. `startJoining()`: row ASSIGNED -> JOINING. The launch action has been kept open since 2, with a hard maximum.
 * 4. make the ring with `registry()`, join it (creator: form it alone), `startHeartbeats()`, transfer.
 * 5. `becomeActive()`: row -> ACTIVE, then the launch action is completed with CONTINUE. A creator that was fenced
 *    gets `fenced`: it must forget the ring it formed and go back to 2.
 * 6. `watch()`: tells once when the node must drain, or that it was buried meanwhile.
 * 7. drain, then `leave()`: row -> GONE, terminate action completed. `fail()` instead of 5 when joining is hopeless.
 * 8. `stop()`: ends every timer, in any state.
 *
 * While the control plane is away every background task retries quietly with backoff: nothing here makes a joined
 * node stop serving.
 */
export interface Membership {
  identify(signal: AbortSignal): Promise<NodeIdentity>;
  /**
   * Polls the own row until it carries a place; claims one itself when nobody else did for a while.
   * @throws the signal's reason; ChordfsError `INSTANCE_GIVEN_UP` when the row is in a terminal state.
   */
  awaitAssignment(options: {
    readonly signal: AbortSignal;
    /** What a restarted node has on disk: answered with `resumed` when its row still carries the same place. */
    readonly remembered?: { readonly ringId: string; readonly position: Identifier } | undefined;
  }): Promise<Assignment>;
  /**
   * Registers this life before the ring is asked: ASSIGNED -> JOINING, or a new incarnation for a `resumed` member. Also
   * how a member that was declared dead while it was paused comes back (ACTIVE -> JOINING, `becomeActive` again later).
   * Safe to repeat. @throws ChordfsError `FORBIDDEN` when the row is in a terminal state or belongs to another ring.
   */
  startJoining(options: { readonly signal: AbortSignal; readonly incarnation: number }): Promise<void>;
  /** Members worth asking for admission now, freshest heartbeats first; never this node. */
  contacts(signal: AbortSignal): Promise<readonly Member[]>;
  /** The ring's view of the member table. @throws when there is no assignment yet. */
  registry(): Registry;
  becomeActive(signal: AbortSignal): Promise<'active' | 'fenced'>;
  /** Reports usage every heartbeat until `stop`; `usage` may throw, the heartbeat then goes without it. */
  startHeartbeats(usage: () => NodeUsage | Promise<NodeUsage>): void;
  watch(listener: MembershipListener): void;
  /** @param reason Goes to the scaling log. Drops the row to GONE and completes the terminate action; safe to repeat. */
  leave(options: {
    readonly reason: string;
    /** False: its time was over before everything had been handed over, so the log says that it was lost. */
    readonly isDrained: boolean;
    readonly signal: AbortSignal;
  }): Promise<void>;
  /** Gives the instance up before it became ACTIVE: row FAILED, launch action ABANDON, the group replaces it. */
  fail(options: { readonly reason: string; readonly signal: AbortSignal }): Promise<void>;
  stop(): void;
}

export interface NodeIdentity {
  readonly instanceId: string;
  readonly privateIp: string;
  /** The private one where the instance has no public one. */
  readonly publicIp: string;
  readonly availabilityZone: string;
}

export interface Assignment {
  /** `creator` forms the ring alone; `joiner` is admitted through `seeds`; `resumed` was a member before its restart. */
  readonly role: 'creator' | 'joiner' | 'resumed';
  readonly position: Identifier;
  readonly ringId: string;
  readonly epoch: number;
  /** ACTIVE members with a fresh heartbeat, other zones first, at most 3 for a joiner, all of them when resumed. */
  readonly seeds: readonly Member[];
  /** 32 bytes shared by the members of this ring id. Secret: never logged. */
  readonly clusterKey: Uint8Array;
}

export interface MembershipListener {
  /** Called at most once. `skip`: the whole ring is being torn down, or this is its last member: nothing to hand over to. */
  drain(notice: { readonly cause: string; readonly skip: boolean }): void;
  /** The table says this node is no longer a member (declared DEAD, or another ring id rules): serve no more, rejoin. */
  fenced(reason: string): void;
}
