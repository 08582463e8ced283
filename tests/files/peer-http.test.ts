import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeFrame } from '../../node/files/peer-frame.ts';
import { PEER_PREFIX } from '../../node/http/open-paths.ts';
import { type PeerCredentials, signPeerRequest } from '../../node/http/peer-auth.ts';
import { contentOf, download, upload } from './content.ts';
import { filesContract } from './contract.ts';
import { CREDENTIALS, type HttpNode, httpCluster } from './http-cluster.ts';

function filesOf(nodes: readonly HttpNode[], turn: number) {
  const node = nodes[turn % nodes.length];
  if (node === undefined) throw new Error('no node');
  return node.files;
}

filesContract('3 nodes over HTTP', async () => {
  const { nodes, close } = await httpCluster(3);
  let turn = 0;
  return { any: () => filesOf(nodes, turn++), close };
});

describe('requests of members', () => {
  let cluster: Awaited<ReturnType<typeof httpCluster>>;
  beforeAll(async () => {
    cluster = await httpCluster(1);
  });
  afterAll(() => cluster.close());

  async function post(
    path: string,
    options: { body: Buffer; headers?: Record<string, string | number> },
  ): Promise<number> {
    const [node] = cluster.nodes;
    return await new Promise((resolve, reject) => {
      const sent = request({
        host: node?.address,
        port: node?.port,
        method: 'POST',
        path,
        headers: options.headers ?? {},
      });
      sent.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.end(options.body);
    });
  }

  async function ask(
    operation: string,
    head: unknown,
    changes: { credentials?: PeerCredentials; ageMs?: number; path?: string; body?: Buffer } = {},
  ) {
    const frame = encodeFrame({ head }, { isSigned: true });
    const path = PEER_PREFIX + operation;
    const nowMs = Date.now() - (changes.ageMs ?? 0);
    const headers = signPeerRequest(
      { method: 'POST', path, headSha256: frame.headSha256, nowMs },
      changes.credentials ?? CREDENTIALS,
    );
    const body = changes.body ?? Buffer.concat(frame.pieces);
    return await post(changes.path ?? path, {
      body,
      headers: { ...headers, 'content-length': body.byteLength },
    });
  }

  test('a signed request is answered', async () => {
    expect(await ask('nudge', {})).toBe(200);
  });

  test('a stranger, another ring, an old recording and a changed request are refused', async () => {
    expect(await post(`${PEER_PREFIX}nudge`, { body: Buffer.from('x') })).toBe(403);
    expect(await ask('nudge', {}, { credentials: { ...CREDENTIALS, clusterKey: Buffer.alloc(32, 8) } })).toBe(
      401,
    );
    expect(
      await ask('nudge', {}, { credentials: { ringId: 'other', clusterKey: Buffer.alloc(32, 8) } }),
    ).toBe(403);
    expect(await ask('nudge', {}, { ageMs: 20 * 60_000 })).toBe(401);
    expect(await ask('nudge', {}, { path: `${PEER_PREFIX}digests` })).toBe(401);
    const other = encodeFrame({ head: { other: 1 } }, { isSigned: false });
    expect(await ask('nudge', {}, { body: Buffer.concat(other.pieces) })).toBe(401);
  });

  test('what no member sends is refused', async () => {
    expect(await ask('no-such-operation', {})).toBe(400);
    expect(await ask('toString', {})).toBe(400);
    expect(await ask('put-chunk', { chunk: null })).toBe(400);
    expect(await ask('digests', { kind: 'records', arcs: [{ from: -1, to: 2 ** 40 }] })).toBe(400);
    await upload(filesOf(cluster.nodes, 0), 'still fine', contentOf(10));
    expect((await download(filesOf(cluster.nodes, 0), 'still fine'))?.byteLength).toBe(10);
  });
});
