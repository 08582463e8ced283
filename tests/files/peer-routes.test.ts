import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { encodeFrame } from '../../node/files/peer-frame.ts';
import { peerListener } from '../../node/files/peer-routes.ts';
import { PEER_PREFIX } from '../../node/http/open-paths.ts';
import { signPeerRequest } from '../../node/http/peer-auth.ts';
import { nodeAt, plainCluster } from './cluster.ts';
import { CREDENTIALS } from './http-cluster.ts';

test("a member that dies in the middle of what it sends is nobody's bug", async () => {
  const { nodes } = await plainCluster(1);
  const bugs: unknown[] = [];
  const { handlers } = nodeAt(nodes, 0).plane;
  const listener = peerListener({
    handlers,
    credentials: () => CREDENTIALS,
    onBug: (error) => bugs.push(error),
  });
  let answered: Promise<void> = Promise.resolve();
  const server = createServer((incoming, response) => {
    answered = listener(incoming, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const frame = encodeFrame({ head: {} }, { isSigned: true });
  const path = `${PEER_PREFIX}nudge`;
  const { headSha256 } = frame;
  const signed = signPeerRequest({ method: 'POST', path, headSha256, nowMs: Date.now() }, CREDENTIALS);
  const headers = { ...signed, 'content-length': 1_000_000 };
  const sent = request({ host: '127.0.0.1', port, method: 'POST', path, headers });
  sent.once('error', () => undefined).write(Buffer.alloc(100));
  await once(server, 'request');

  sent.destroy();
  await answered;

  expect(bugs).toEqual([]);
  server.close();
});
