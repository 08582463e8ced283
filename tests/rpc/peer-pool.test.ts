import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { identifier } from '../../domain/identifier.ts';
import { evidenceOf } from '../../node/rpc/peer-evidence.ts';
import type { ClusterCredentials } from '../../node/rpc/peer-handshake.ts';
import { PeerPool, type PeerTarget } from '../../node/rpc/peer-pool.ts';
import { RpcMethods } from '../../node/rpc/rpc-methods.ts';
import { RpcServer } from '../../node/rpc/rpc-server.ts';

const clusterKey = randomBytes(32);
const stops: (() => unknown)[] = [];

function credentials(instanceId: string, over: Partial<ClusterCredentials> = {}): ClusterCredentials {
  return {
    clusterKey,
    ringId: 'ring-1',
    epoch: 1,
    self: { id: identifier(1), instanceId, incarnation: 1 },
    ...over,
  };
}

async function peer(
  over: Partial<ClusterCredentials> = {},
): Promise<{ target: PeerTarget; server: RpcServer; gone: string[] }> {
  const methods = new RpcMethods();
  const gone: string[] = [];
  methods.addPeer('whoami', (_, session) => session.peer?.instanceId);
  methods.addPeer('refuse', () => {
    throw new ChordfsError('NOT_OWNER', { ownerId: 9 });
  });
  methods.addPeer('silence', () => new Promise(() => undefined));
  const server = new RpcServer({
    methods,
    credentials: () => credentials('callee', over),
    onPeerGone: ({ instanceId }) => gone.push(instanceId),
  });
  const chordPort = await server.listen('127.0.0.1', 0);
  stops.push(() => server.close());
  return {
    target: { instanceId: 'callee', incarnation: 1, privateIp: '127.0.0.1', chordPort },
    server,
    gone,
  };
}

function pool(over: Partial<ClusterCredentials> = {}, onLost?: (peer: PeerTarget) => void): PeerPool {
  const made = new PeerPool({
    credentials: () => credentials('caller', over),
    localAddress: '127.22.0.1',
    onLost,
  });
  stops.push(() => made.close());
  return made;
}

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

describe('PeerPool', () => {
  test('makes one connection for many calls at once, and is known by its identity', async () => {
    const { target, server } = await peer();
    const calls = pool();

    const answers = await Promise.all(Array.from({ length: 50 }, () => calls.call(target, 'whoami', [])));

    expect(new Set(answers)).toEqual(new Set(['caller']));
    expect(server.counters().connectionsAccepted).toBe(1);
  });

  test('passes on what the peer threw, which is no evidence of trouble', async () => {
    const { target } = await peer();
    const error = await pool()
      .call(target, 'refuse', [])
      .catch((caught: unknown) => caught);

    expect(error).toMatchObject({ code: 'NOT_OWNER', details: { ownerId: 9 } });
    expect(evidenceOf(error)).toBeUndefined();
  });

  test.each([
    ['another key', { clusterKey: randomBytes(32) }],
    ['another ring', { ringId: 'ring-2' }],
    ['another epoch', { epoch: 2 }],
  ])('neither calls nor is served across %s', async (_, over) => {
    const { target } = await peer();

    await expect(pool(over).call(target, 'whoami', [])).rejects.toMatchObject({
      code: expect.stringMatching(/UNAUTHORIZED|FORBIDDEN/),
    });
  });

  test('takes another life at the same address for the death of the one meant', async () => {
    const { target } = await peer({ self: { id: identifier(1), instanceId: 'callee', incarnation: 2 } });
    const error = await pool()
      .call(target, 'whoami', [])
      .catch((caught: unknown) => caught);

    expect(evidenceOf(error)).toBe('refused');
    expect(await pool().call({ ...target, incarnation: undefined }, 'whoami', [])).toBe('caller');
  });

  test('tells a refused connection, a broken one and silence apart', async () => {
    const { target, server } = await peer();
    const lost: string[] = [];
    const calls = pool({}, ({ instanceId }) => lost.push(instanceId));

    const silent = await calls
      .call(target, 'silence', [], { timeoutMs: 60 })
      .catch((caught: unknown) => caught);
    expect(evidenceOf(silent)).toBe('timeout');

    const broken = calls.call(target, 'silence', [], { timeoutMs: 5_000 }).catch((caught: unknown) => caught);
    await server.close();
    expect(evidenceOf(await broken)).toBe('closed');
    expect(lost).toEqual(['callee']);

    const refused = await calls.call(target, 'whoami', []).catch((caught: unknown) => caught);
    expect(evidenceOf(refused)).toBe('refused');
  });

  test('gives up on a port that accepts and says nothing', async () => {
    const mute: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', () => resolve()));
    stops.push(() => mute.close());
    const address = mute.address();
    const chordPort = typeof address === 'object' && address !== null ? address.port : 0;

    const error = await pool()
      .call({ instanceId: 'x', incarnation: 1, privateIp: '127.0.0.1', chordPort }, 'whoami', [], {
        timeoutMs: 100,
      })
      .catch((caught: unknown) => caught);

    expect(evidenceOf(error)).toBe('timeout');
  });

  test('calls again over a new connection after the old one was lost', async () => {
    const first = await peer();
    const calls = pool();
    await calls.call(first.target, 'whoami', []);
    await first.server.close();
    await expect.poll(() => calls.counters().connectionsOpen).toBe(0);

    const second = new RpcServer({ methods: withWhoami(), credentials: () => credentials('callee') });
    stops.push(() => second.close());
    await second.listen('127.0.0.1', first.target.chordPort);

    expect(await calls.call(first.target, 'whoami', [])).toBe('here');
  });

  test('tells the other end that a peer is gone', async () => {
    const { target, gone } = await peer();
    const calls = pool();
    await calls.call(target, 'whoami', []);
    calls.close();

    await expect.poll(() => gone).toEqual(['caller']);
  });
});

function withWhoami(): RpcMethods {
  const methods = new RpcMethods();
  methods.addPeer('whoami', () => 'here');
  return methods;
}
