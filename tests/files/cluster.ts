import { type Identifier, identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { createDataPlane, type DataPlane, type DataPlaneOptions } from '../../node/files/data-plane.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import type { Store } from '../../node/store/store.ts';
import { type FakeRing, RingControl } from './fake-ring.ts';
import { MemoryNetwork } from './memory-network.ts';

export interface TestNode {
  readonly member: Omit<RingMember, 'phase'>;
  readonly store: Store;
  readonly ring: FakeRing;
  readonly plane: DataPlane;
}

export function testMember(name: string, id: number, incarnation = 1): Omit<RingMember, 'phase'> {
  return {
    id: identifier(id) as Identifier,
    instanceId: name,
    incarnation,
    privateIp: '127.24.0.1',
    publicIp: '127.24.0.1',
    chordPort: 5057,
    httpPort: 5058,
    availabilityZone: 'zone-a',
  };
}

/** Nodes over an in-memory network, at equal distances on the circle, all of them active and synced. */
export async function plainCluster(
  count: number,
  storeOf: (i: number) => Store = () => new MemoryStore(),
  limits: Pick<DataPlaneOptions, 'chunkLimits' | 'uploadLimits'> = {},
) {
  const network = new MemoryNetwork();
  const control = new RingControl();
  const nodes: TestNode[] = [];
  for (let i = 0; i < count; i++) {
    const member = testMember(`n${i}`, Math.floor(((i + 1) * 2 ** 32) / count) - 1);
    const ring = control.ring(member);
    const store = storeOf(i);
    const movement = {
      isSynced: () => true,
      maySpeakFor: () => true,
      missed: () => undefined,
      nudged: () => undefined,
      recordStored: () => undefined,
    };
    const plane = createDataPlane({
      ...{ ring, store, peers: network.peersOf(member.instanceId), movement },
      ...limits,
    });
    network.handlers.set(member.instanceId, plane.handlers);
    nodes.push({ member, store, ring, plane });
  }
  await control.change(nodes.map(({ member }) => ({ ...member, phase: 'active' as const })));
  return { network, control, nodes };
}

export function nodeAt(nodes: readonly TestNode[], i: number): TestNode {
  const node = nodes[i % nodes.length];
  if (node === undefined) throw new Error(`no node ${i}`);
  return node;
}
