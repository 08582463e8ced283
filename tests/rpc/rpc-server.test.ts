import { randomBytes } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { RpcMethods } from '../../node/rpc/rpc-methods.ts';
import { RpcServer } from '../../node/rpc/rpc-server.ts';
import { RawCaller } from './raw-caller.ts';

const bugs: unknown[] = [];
let server: RpcServer;
let port: number;
const callers: RawCaller[] = [];
const holds: ((value: unknown) => void)[] = [];
let isHolding = true;

async function caller(): Promise<RawCaller> {
  const opened = await RawCaller.open(port);
  callers.push(opened);
  return opened;
}

beforeEach(async () => {
  isHolding = true;
  const methods = new RpcMethods();
  methods.addOpen('echo', (params) => params);
  methods.addOpen('hold', () => (isHolding ? new Promise((resolve) => holds.push(resolve)) : null));
  methods.addOpen('fail', () => {
    throw new ChordfsError('NODE_NOT_READY');
  });
  methods.addOpen('bug', () => {
    throw new TypeError('secret detail');
  });
  methods.addOpen('large', () => 'x'.repeat(40_000));
  methods.addPeer('inner', () => 'for members');
  server = new RpcServer({ methods, onBug: (error) => bugs.push(error) });
  port = await server.listen('127.0.0.1', 0);
});

afterEach(async () => {
  for (const each of callers.splice(0)) each.destroy();
  for (const release of holds.splice(0)) release(null);
  bugs.length = 0;
  await server.close();
});

describe('RpcServer', () => {
  test('answers a call that arrives byte by byte, its method as str or as raw', async () => {
    const client = await caller();
    for (const byte of encode([0, 1, 'echo', ['a']])) client.send(Uint8Array.of(byte));
    expect(await client.next()).toEqual([1, 1, null, ['a']]);

    expect(await client.call(Buffer.from('echo'), [2])).toEqual([1, 7, null, [2]]);
  });

  test('answers several calls sent before the first is read, each as it finishes', async () => {
    const client = await caller();
    client.request(1, 'hold', []);
    client.request(2, 'echo', []);

    expect(await client.next()).toEqual([1, 2, null, []]);
    holds.splice(0)[0]?.('late');
    expect(await client.next()).toEqual([1, 1, null, 'late']);
  });

  test('answers an unknown method in the words of the course server, and goes on', async () => {
    const client = await caller();

    expect(await client.call('nosuch', [])).toEqual([
      1,
      7,
      "rpclib: server could not find function 'nosuch' with argument count 0.",
      null,
    ]);
    expect(await client.call('echo', [])).toEqual([1, 7, null, []]);
  });

  test('hides methods for members from everybody else', async () => {
    const client = await caller();

    expect(await client.call('inner', [])).toEqual([
      1,
      7,
      "rpclib: server could not find function 'inner' with argument count 0.",
      null,
    ]);
  });

  test('tells a failure by its code and a bug without its details', async () => {
    const client = await caller();

    expect(await client.call('fail', [])).toEqual([1, 7, 'chordfs: NODE_NOT_READY', null]);
    expect(await client.call('bug', [])).toEqual([1, 7, 'chordfs: internal error', null]);
    expect(bugs).toHaveLength(1);
  });

  test.each([
    ['bytes that are no MessagePack', Buffer.from('c1c1c1', 'hex')],
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a promise of 4 GiB', Buffer.from('94000bdbffffffff', 'hex')],
    ['a request without parameters', encode([0, 1, 'echo'])],
    ['parameters that are no array', encode([0, 1, 'echo', { a: 1 }])],
    ['a call id that is no 32-bit number', encode([0, -1, 'echo', []])],
    ['a response nobody asked for', encode([1, 1, null, null])],
    [
      'a map with a key that no object may have',
      Buffer.from('940001a46563686f9181a95f5f70726f746f5f5f01', 'hex'),
    ],
  ])('closes a connection that sends %s, and serves the next', async (_, bytes) => {
    const hostile = await caller();
    const honest = await caller();
    hostile.send(bytes);
    await hostile.closed;

    expect(await honest.call('echo', [1])).toEqual([1, 7, null, [1]]);
    expect(await (await caller()).call('echo', [2])).toEqual([1, 7, null, [2]]);
  });

  test('still answers a caller that closed its sending half', async () => {
    const client = await caller();
    client.request(1, 'hold', []);
    client.end();
    await expect.poll(() => holds.length).toBe(1);
    holds.splice(0)[0]?.('here');

    expect(await client.next()).toEqual([1, 1, null, 'here']);
    expect(await client.next()).toBeUndefined();
  });

  test('works on no more calls of one connection than its bound, and on the rest afterwards', async () => {
    const client = await caller();
    for (let i = 0; i < 100; i++) client.request(i, 'hold', []);
    await expect.poll(() => holds.length).toBe(32);

    isHolding = false;
    for (const release of holds.splice(0)) release(null);
    const answered = new Set<unknown>();
    for (let i = 0; i < 100; i++) answered.add(JSON.stringify(await client.next()));
    expect(answered.size).toBe(100);
  });

  test('drops a caller that does not read its answers', async () => {
    const client = await caller();
    for (let i = 0; i < 2_000; i++) client.request(i, 'large', []);

    await expect.poll(() => server.counters().connectionsAborted, { timeout: 10_000 }).toBe(1);
  });

  test('lets nobody in who cannot prove to hold a key when there is none', async () => {
    const client = await caller();

    expect(await client.call('peer_hello', ['ring', 1, [1, 'i', 1], randomBytes(16)])).toEqual([
      1,
      7,
      ['NODE_NOT_READY', {}],
      null,
    ]);
    expect(await client.call('peer_prove', [randomBytes(32)])).toEqual([1, 7, ['UNAUTHORIZED', {}], null]);
  });
});
