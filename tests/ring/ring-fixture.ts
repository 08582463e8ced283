import { randomBytes } from 'node:crypto';
import { identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { MemoryRegistry } from '../../node/ring/memory-registry.ts';
import { MemorySettings } from '../../node/ring/memory-settings.ts';
import { openRing, type RingNode } from '../../node/ring/ring-node.ts';
import type { RingOptions } from '../../node/ring/ring-options.ts';
import { nextIncarnation } from '../../node/ring/ring-state-store.ts';

export const RING_ID = 'ring-under-test';

export interface FixtureNode {
  readonly ring: RingNode;
  readonly self: Member;
  readonly settings: MemorySettings;
}

/** Real nodes on real sockets in this process, with one member table in memory. */
export class RingFixture {
  readonly registry = new MemoryRegistry();
  readonly clusterKey = randomBytes(32);
  readonly bugs: unknown[] = [];
  readonly nodes: FixtureNode[] = [];
  readonly #network: string;

  /** @param network First three numbers of the addresses. */
  constructor(network: string) {
    this.#network = network;
  }

  member(n: number, id: number, incarnation: number): Member {
    return {
      id: identifier(id),
      instanceId: `i-${n}`,
      incarnation,
      privateIp: `${this.#network}.${n}`,
      publicIp: `198.51.100.${n}`,
      chordPort: 5057,
      httpPort: 5058,
      availabilityZone: 'zone-a',
    };
  }

  async open(
    n: number,
    id: number,
    settings = new MemorySettings(),
    over: Partial<RingOptions> = {},
  ): Promise<FixtureNode> {
    const self = this.member(n, id, await nextIncarnation(settings));
    const ring = await openRing({
      self,
      ringId: RING_ID,
      epoch: 1,
      clusterKey: this.clusterKey,
      listen: [self.privateIp],
      vpcCidr: `${this.#network}.0/24`,
      registry: this.registry,
      settings,
      onBug: (error) => this.bugs.push(error),
      onReplaced: async () => {
        const next = { ...self, incarnation: await nextIncarnation(settings) };
        this.registry.put(next, 'joining');
        return { self: next, contacts: this.running().map((node) => node.self) };
      },
      ...over,
    });
    const node = { ring, self, settings };
    this.nodes.push(node);
    return node;
  }

  running(): readonly FixtureNode[] {
    return this.nodes;
  }

  /** A ring of one. */
  async create(n: number, id: number): Promise<FixtureNode> {
    const node = await this.open(n, id);
    this.registry.put(node.self, 'joining');
    await node.ring.begin({ role: 'create' }, within());
    this.registry.put(node.self, 'active');
    return node;
  }

  /** In the pointers, then owner of its arc: there are no files to wait for. */
  async join(n: number, id: number, contact: FixtureNode): Promise<FixtureNode> {
    const node = await this.open(n, id);
    this.registry.put(node.self, 'joining');
    await node.ring.begin({ role: 'join', contacts: [contact.self] }, within());
    await node.ring.enter('active', within());
    this.registry.put(node.self, 'active');
    return node;
  }

  async leave(node: FixtureNode): Promise<void> {
    await node.ring.enter('draining', within());
    await node.ring.enter('left', within());
    this.registry.remove(node.self.instanceId);
    await this.crash(node);
  }

  /** Connections break and the port closes, as when a process dies. */
  async crash(node: FixtureNode): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    await node.ring.stop();
  }

  /** The omniscient ring: the first running node at or after the key. */
  owner(key: number): string | undefined {
    const clockwise = [...this.nodes].sort((a, b) => a.self.id - b.self.id);
    return (clockwise.find(({ self }) => self.id >= key) ?? clockwise[0])?.self.instanceId;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map(({ ring }) => ring.stop()));
  }
}

export function within(timeoutMs = 20_000): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(timeoutMs) };
}

export const KEYS: readonly number[] = [
  0, 1, 999, 1_000, 1_001, 607_204_990, 2_147_483_647, 2_147_483_648, 3_000_000_000, 4_294_967_295,
];

/** Lookups whose answer is not what the omniscient ring says, from every node. */
export async function wrongLookups(fixture: RingFixture): Promise<string[]> {
  const answers = await Promise.all(
    fixture.nodes.flatMap(({ ring, self }) =>
      KEYS.map(async (key) => {
        const found = await ring.lookup(identifier(key), within(300)).then(
          ({ owner }) => owner.instanceId,
          (error: unknown) => String(error),
        );
        return found === fixture.owner(key) ? [] : [`${self.instanceId}: ${key} is ${found}`];
      }),
    ),
  );
  return answers.flat();
}
