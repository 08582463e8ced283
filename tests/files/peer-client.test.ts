import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createPeerClient } from '../../node/files/peer-client.ts';
import { encodeFrame } from '../../node/files/peer-frame.ts';
import { testMember } from './cluster.ts';
import { CREDENTIALS } from './http-cluster.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A peer that, once told, resets every connection it has answered on before. */
async function forgetfulPeer() {
  const used = new Set<Socket>();
  const peer = { isForgetful: false, connectionCount: 0, member: testMember('peer', 1) };
  const server = createServer((request, response) => {
    if (peer.isForgetful && used.has(request.socket)) {
      request.socket.resetAndDestroy();
      return;
    }
    used.add(request.socket);
    request.resume().once('end', () => {
      const body = Buffer.concat(encodeFrame({ head: {} }, { isSigned: false }).pieces);
      response.writeHead(200, { 'content-length': body.byteLength }).end(body);
    });
  });
  server.on('connection', () => peer.connectionCount++);
  server.listen(0, '127.0.0.1');
  closers.push(() => server.close().closeAllConnections());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  peer.member = { ...peer.member, privateIp: '127.0.0.1', httpPort: port };
  return peer;
}

test('a peer whose kept connections are all dead is reached on a new one', async () => {
  const peer = await forgetfulPeer();
  const client = createPeerClient({ localAddress: '127.0.0.1', credentials: () => CREDENTIALS });
  closers.push(() => client.close());
  const member = { ...peer.member, phase: 'active' as const };
  const ask = () =>
    client.call(member, 'nudge', { head: {} }, { signal: AbortSignal.timeout(5_000), timeoutMs: 5_000 });
  await Promise.all([ask(), ask(), ask()]);
  expect(peer.connectionCount).toBe(3);
  peer.isForgetful = true;

  const answer = await ask();

  expect(answer.head).toEqual({});
});
