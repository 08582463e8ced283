import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Files } from '../../node/files/files.ts';
import { createPeerClient, type PeerClient } from '../../node/files/peer-client.ts';
import { peerListener } from '../../node/files/peer-routes.ts';
import type { PeerCredentials } from '../../node/http/peer-auth.ts';
import type { Movement } from '../../node/movement/movement.ts';
import { createNodeFiles } from '../../node/movement/node-files.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import type { Store } from '../../node/store/store.ts';
import { testMember } from './cluster.ts';
import { RingControl } from './fake-ring.ts';

export interface HttpNode {
  readonly files: Files;
  readonly movement: Movement;
  readonly store: Store;
  readonly address: string;
  readonly port: number;
  readonly server: Server;
  readonly client: PeerClient;
}

export const CREDENTIALS: PeerCredentials = { ringId: 'test', clusterKey: Buffer.alloc(32, 7) };

/** Nodes of one process that talk over real sockets, each on its own loopback address and any free port. */
export async function httpCluster(
  count: number,
  storeOf: (i: number) => Promise<Store> = async () => new MemoryStore(),
) {
  const control = new RingControl();
  const nodes: HttpNode[] = [];
  const members = [];
  for (let i = 0; i < count; i++) {
    const address = `127.24.0.${11 + i}`;
    let listener: ReturnType<typeof peerListener> | undefined;
    const server = createServer((req, res) => void listener?.(req, res));
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    const { port } = server.address() as AddressInfo;
    const member = {
      ...testMember(`n${i}`, Math.floor(((i + 1) * 2 ** 32) / count) - 1),
      privateIp: address,
      httpPort: port,
    };
    const ring = control.ring(member);
    const store = await storeOf(i);
    const client = createPeerClient({ localAddress: address, credentials: () => CREDENTIALS });
    const onBug = (error: unknown) => {
      throw error;
    };
    const { files, movement, handlers } = createNodeFiles({ ring, store, peers: client, onBug });
    listener = peerListener({ handlers, credentials: () => CREDENTIALS, onBug });
    members.push(member);
    nodes.push({ files, movement, store, address, port, server, client });
  }
  await control.change(members.map((member) => ({ ...member, phase: 'active' as const })));
  for (const { movement } of nodes) movement.start();
  await Promise.all(nodes.map(({ movement }) => movement.whenSynced(AbortSignal.timeout(10_000))));
  const close = async () => {
    for (const { movement, server, client, store } of nodes) {
      await movement.stop();
      client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await store.close();
    }
  };
  return { nodes, control, close };
}
