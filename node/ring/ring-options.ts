import type { Member } from '../../domain/member.ts';
import type { ChordConfig } from '../chord/config.ts';
import type { Registry } from './registry.ts';
import type { Settings } from './ring-state-store.ts';

export interface RingOptions {
  /** This node, with the incarnation of this life: `nextIncarnation` in ring-state-store.ts. */
  readonly self: Member;
  readonly ringId: string;
  readonly epoch: number;
  /** 32 bytes, the same on all members. Never logged, never on the wire. */
  readonly clusterKey: Uint8Array;
  /** Addresses to listen on, at `self.chordPort`. */
  readonly listen: readonly string[];
  /** Callers from here are given private addresses, all others public ones. */
  readonly vpcCidr: string;
  /** The member table. Undefined only for tests of a ring without one. */
  readonly registry: Registry | undefined;
  readonly settings: Settings;
  /** Differences from `DEFAULT_CONFIG`. */
  readonly config?: Partial<ChordConfig> | undefined;
  /** Uniform in [0, 1). Default: the system's source. */
  readonly random?: (() => number) | undefined;
  /**
   * Others took this node's arc over while it was paused or cut off. It has stopped answering for it, and asks here
   * for its next life: a new incarnation, registered with the member table, and members to join through. Default:
   * the next incarnation from `settings`, through the members it knows. A rejection is tried again.
   */
  readonly onReplaced?: (() => Promise<NextLife>) | undefined;
  /** Something threw that never should: to be logged. */
  readonly onBug?: ((error: unknown, where: string) => void) | undefined;
}

export interface NextLife {
  readonly self: Member;
  readonly contacts: readonly Member[];
}

/** How a node gets into the ring. */
export type RingEntry =
  /** Starts a ring of one: only the winner of the genesis claim. */
  | { readonly role: 'create' }
  /** Is admitted as a newcomer, phase `joining`. */
  | { readonly role: 'join'; readonly contacts: readonly Member[] }
  /** Was a member before it restarted. The members of the last view are asked as well. */
  | { readonly role: 'resume'; readonly contacts: readonly Member[] };
