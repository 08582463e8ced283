import type { Member } from '../../domain/member.ts';
import type { ChordConfig } from '../chord/config.ts';
import type { ChordEffect } from '../chord/event.ts';
import type { ClusterCredentials } from '../rpc/peer-handshake.ts';
import { PeerPool } from '../rpc/peer-pool.ts';
import { performCall } from './call-performer.ts';
import { ChordRunner } from './chord-runner.ts';
import type { Registry } from './registry.ts';
import { RegistryPerformer } from './registry-performer.ts';

export interface LifeOptions {
  readonly self: Member;
  /** Of the ring; who this node is, is in the core. */
  readonly cluster: Omit<ClusterCredentials, 'self'>;
  readonly config: ChordConfig;
  readonly registry: Registry | undefined;
  readonly random: () => number;
  /** All effects but the calls, which this life performs itself. */
  readonly perform: (effect: ChordEffect) => void;
}

/** One incarnation of this node: its core, and the connections it makes under that identity. */
export class RingLife {
  readonly runner: ChordRunner;
  readonly pool: PeerPool;
  readonly #options: LifeOptions;
  readonly #registry: RegistryPerformer;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#registry = new RegistryPerformer(options.registry, () => this.self);
    this.pool = new PeerPool({
      credentials: () => this.credentials,
      localAddress: options.self.privateIp,
      onLost: ({ instanceId }) => this.runner.dispatch({ kind: 'connectionLost', instanceId }),
    });
    this.runner = new ChordRunner({
      self: options.self,
      config: options.config,
      random: options.random,
      perform: (effect) => this.#perform(effect),
    });
  }

  /** As the core has it: the ring may have asked for a higher incarnation at admission. */
  get self(): Member {
    return this.runner.self;
  }

  get credentials(): ClusterCredentials {
    const { id, instanceId, incarnation } = this.self;
    return { ...this.#options.cluster, self: { id, instanceId, incarnation } };
  }

  stop(): void {
    this.runner.stop();
    this.pool.close();
  }

  #perform(effect: ChordEffect): void {
    switch (effect.kind) {
      case 'call':
        void performCall(this.pool, effect).then((event) => this.runner.dispatch(event));
        return;
      case 'askRegistry':
        void this.#registry.perform(effect).then((event) => this.runner.dispatch(event));
        return;
      default:
        this.#options.perform(effect);
    }
  }
}
