import type { RequestListener } from 'node:http';
import type { Files } from '../../node/files/files.ts';
import { createPeerClient, type PeerClient } from '../../node/files/peer-client.ts';
import { peerRoutes } from '../../node/files/peer-routes.ts';
import { createFileServer, type FileServerOptions } from '../../node/http/file-server.ts';
import { type ListeningServer, listen } from '../../node/http/listen.ts';
import { memberKeyOf, type PeerCredentials } from '../../node/http/peer-auth.ts';
import type { TlsOptions } from '../../node/http/tls-options.ts';
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
  readonly server: ListeningServer;
  readonly client: PeerClient;
}

export const CREDENTIALS: PeerCredentials = { ringId: 'test', clusterKey: Buffer.alloc(32, 7) };

export interface HttpClusterOptions {
  readonly storeOf: (i: number) => Promise<Store>;
  /** What a node's port speaks TLS with; undefined: plain HTTP. */
  readonly tlsOf: (i: number) => TlsOptions | undefined;
  readonly options: Partial<FileServerOptions>;
}

/** Whole file servers of one process that talk over real sockets, each on its own loopback address and any free port. */
export async function httpCluster(count: number, given: Partial<HttpClusterOptions> = {}) {
  const { storeOf = async () => new MemoryStore(), tlsOf = () => undefined, options = {} } = given;
  const control = new RingControl();
  const nodes: HttpNode[] = [];
  const members = [];
  for (let i = 0; i < count; i++) {
    const address = `127.24.0.${11 + i}`;
    const tls = tlsOf(i);
    let handle: RequestListener = () => undefined;
    const server = await listen((request, response) => handle(request, response), {
      ...{ addresses: [address], port: 0, tls },
      memberKey: () => memberKeyOf(CREDENTIALS),
    });
    const port = server.endpoints[0]?.port ?? 0;
    const member = {
      ...testMember(`n${i}`, Math.floor(((i + 1) * 2 ** 32) / count) - 1),
      privateIp: address,
      httpPort: port,
    };
    const ring = control.ring(member);
    const store = await storeOf(i);
    const client = createPeerClient({
      ...{ localAddress: address, isTls: tls !== undefined },
      credentials: () => CREDENTIALS,
    });
    const onBug = (error: unknown) => {
      throw error;
    };
    const { files, movement, handlers } = createNodeFiles({ ring, store, peers: client, onBug });
    const app = createFileServer({
      ...{ files, options },
      status: () => ({ isHealthy: true, isReady: true, reasons: [], facts: {} }),
      peerRouter: peerRoutes({ handlers, credentials: () => CREDENTIALS, onBug }),
    });
    const answer = app.callback();
    handle = (request, response) => void answer(request, response);
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
      await server.close(0);
      await store.close();
    }
  };
  return { nodes, control, close };
}
