import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberKeyOf } from '../../node/http/peer-auth.ts';
import { loadTls } from '../../node/http/tls-options.ts';
import { MEMBER_CIPHER } from '../../node/http/tls-port.ts';
import { contentOf } from '../files/content.ts';
import { CREDENTIALS, type HttpNode, httpCluster } from '../files/http-cluster.ts';
import { Certificates } from './certificates.ts';

const login = { user: 'reader', password: 'secret' };
const authorization = `Basic ${Buffer.from('reader:secret').toString('base64')}`;
/** More than one chunk, so that bytes travel between the members both ways. */
const content = contentOf(9_000_000);

const certificates = new Certificates();
beforeAll(() => {
  for (const name of ['server', 'client']) certificates.make(name);
  certificates.makeFolder('data');
});
afterAll(() => certificates.remove());

const mutual = () =>
  loadTls({
    serverCertificate: certificates.path('server.pem'),
    clientCertificate: certificates.path('client.crt'),
    dataDirectory: certificates.path('data'),
  });

/** As a client of the deployment: with its certificate and its login. */
function ask(
  { address, port }: HttpNode,
  { method = 'GET', path, body }: { method?: string; path: string; body?: Buffer },
): Promise<{ status: number; body: Buffer }> {
  const own = { cert: certificates.read('client.pem'), key: certificates.read('client.pem') };
  const trust = {
    ca: certificates.read('server.crt'),
    checkServerIdentity: () => undefined,
    agent: new Agent(),
  };
  const headers = { authorization, ...(body === undefined ? {} : { 'content-length': body.byteLength }) };
  return new Promise((resolve, reject) => {
    const asking = httpsRequest(
      { host: address, port, method, path, headers, ...own, ...trust },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces) }));
      },
    );
    asking.on('error', reject);
    asking.end(body);
  });
}

function nodeAt({ nodes }: { nodes: readonly HttpNode[] }, i: number): HttpNode {
  const node = nodes[i];
  if (node === undefined) throw new Error(`no node ${i}`);
  return node;
}

describe('members among themselves', () => {
  test('keep and serve files with client certificates and a login required, though they have neither', async () => {
    const cluster = await httpCluster(3, { tlsOf: mutual, options: { basicAuth: login } });

    expect((await ask(nodeAt(cluster, 0), { method: 'PUT', path: '/big.bin', body: content })).status).toBe(
      201,
    );

    for (const node of cluster.nodes) {
      expect((await ask(node, { path: '/big.bin' })).body.equals(content)).toBe(true);
      expect(node.store.usage().usedBytes).toBeGreaterThanOrEqual(content.byteLength);
    }
    await cluster.close();
  });

  test('stay one ring while some have been moved to TLS and some not yet', async () => {
    const cluster = await httpCluster(3, { tlsOf: (i) => (i === 0 ? mutual() : undefined) });

    expect((await ask(nodeAt(cluster, 0), { method: 'PUT', path: '/big.bin', body: content })).status).toBe(
      201,
    );
    const { address, port } = nodeAt(cluster, 1);
    const fromPlain = await fetch(`http://${address}:${port}/big.bin`, { method: 'DELETE' });

    expect(fromPlain.status).toBe(204);
    expect((await ask(nodeAt(cluster, 0), { path: '/big.bin' })).status).toBe(404);
    await cluster.close();
  });

  test.each([
    ['another key', { ...CREDENTIALS, clusterKey: Buffer.alloc(32, 8) }],
    ['another ring', { ...CREDENTIALS, ringId: 'other' }],
  ])('a stranger who opens TLS with %s does not get past the handshake', async (_, credentials) => {
    const cluster = await httpCluster(1, { tlsOf: mutual });
    const { address: host, port } = nodeAt(cluster, 0);
    const { identity, key: psk } = memberKeyOf(credentials);
    const asMember = {
      ciphers: MEMBER_CIPHER,
      maxVersion: 'TLSv1.2' as const,
      checkServerIdentity: () => undefined,
    };

    const outcome = await new Promise((resolve) => {
      const socket = connectTls({ host, port, ...asMember, pskCallback: () => ({ identity, psk }) });
      socket.once('secureConnect', () => resolve('let in'));
      socket.once('error', () => resolve('refused'));
    });

    expect(outcome).toBe('refused');
    await cluster.close();
  });
});
