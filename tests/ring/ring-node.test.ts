import { encode } from '@msgpack/msgpack';
import { afterEach, describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import { RawCaller } from '../rpc/raw-caller.ts';
import { type FixtureNode, RingFixture, within, wrongLookups } from './ring-fixture.ts';

const SETTLE = { timeout: 15_000, interval: 50 };
let fixture = new RingFixture('127.22.1');

afterEach(async () => {
  await fixture.stop();
  expect(fixture.bugs).toEqual([]);
  fixture = new RingFixture('127.22.1');
});

async function ringOf(count: number): Promise<FixtureNode[]> {
  const first = await fixture.create(1, 1_000);
  const nodes = [first];
  for (let n = 2; n <= count; n++) {
    nodes.push(await fixture.join(n, (n * 2_654_435_761) % 2 ** 32, nodes[n >> 1] ?? first));
  }
  return nodes;
}

async function ask(node: FixtureNode, method: string, ...params: unknown[]): Promise<unknown> {
  const caller = await RawCaller.open(5057, node.self.privateIp);
  try {
    caller.send(encode([0, 1, method, params]));
    const response = await caller.next();
    return Array.isArray(response) ? (response[2] ?? response[3]) : undefined;
  } finally {
    caller.destroy();
  }
}

describe('a ring over sockets', () => {
  test('answers nothing but "not ready" before it is in a ring', async () => {
    const node = await fixture.open(1, 1_000);

    for (const [method, ...params] of [
      ['get_info'],
      ['create'],
      ['find_successor', 1],
      ['get_predecessor'],
      ['get_successor', 0],
    ] as const) {
      expect(await ask(node, method, ...params)).toBe('chordfs: NODE_NOT_READY');
    }
    expect(node.ring.owns(identifier(5))).toBe(false);
  });

  test('of one owns everything and answers the course clients', async () => {
    const [node] = await ringOf(1);
    if (node === undefined) throw new Error('no node');
    const onWire = ['198.51.100.1', 5057, 1_000];

    expect(node.ring.owns(identifier(607_204_990))).toBe(true);
    expect(await ask(node, 'create')).toBeNull();
    expect(await ask(node, 'find_successor', 607_204_990)).toEqual(onWire);
    expect(await ask(node, 'get_info')).toEqual(onWire);
    expect(await ask(node, 'get_successor', 2)).toEqual(onWire);
    for (const method of ['join', 'notify', 'kill']) {
      expect(await ask(node, method, onWire)).toBe('chordfs: FORBIDDEN');
    }
  });

  test('grows to five, agrees on every key, and each key has one owner', async () => {
    const nodes = await ringOf(5);

    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
    for (const key of [0, 1_000, 1_001, 4_294_967_295]) {
      expect(nodes.filter(({ ring }) => ring.owns(identifier(key)))).toHaveLength(1);
    }
    for (const { ring } of nodes) {
      expect(ring.snapshot().members.map(({ phase }) => phase)).toEqual(Array(5).fill('active'));
    }
  });

  test('is right again after a member died', async () => {
    const nodes = await ringOf(5);
    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
    const [, , third] = nodes;
    if (third !== undefined) await fixture.crash(third);

    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
  });

  test('shrinks to one by members leaving, without a wrong lookup once each has left', async () => {
    const nodes = await ringOf(4);
    for (const node of nodes.slice(0, 3)) {
      await fixture.leave(node);
      await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
    }

    expect(fixture.nodes[0]?.ring.snapshot().members).toHaveLength(1);
  });

  test('is still known to a member that has left: it takes requests to the others', async () => {
    const [leaver, ...others] = await ringOf(3);
    if (leaver === undefined) throw new Error('no node');

    await fixture.leave(leaver);

    const known = leaver.ring.snapshot().members.map(({ instanceId }) => instanceId);
    expect(known.sort()).toEqual(others.map(({ self }) => self.instanceId).sort());
    expect(leaver.ring.owns(identifier(leaver.self.id))).toBe(false);
  });

  test('of two lets the survivor go on by the table’s word', async () => {
    const [first, second] = await ringOf(2);
    if (second !== undefined) await fixture.crash(second);

    await expect.poll(() => first?.ring.owns(identifier(second?.self.id ?? 0)), SETTLE).toBe(true);
    expect(await wrongLookups(fixture)).toEqual([]);
  });

  test('speaks for the arc of a dead member only after the check has passed', async () => {
    const nodes = await ringOf(3);
    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
    const checked: string[] = [];
    const releases: (() => void)[] = [];
    for (const { ring, self } of nodes) {
      ring.beforeTakeOver(async ({ from, to }) => {
        checked.push(`${self.instanceId} (${from}, ${to}]`);
        await new Promise<void>((resolve) => releases.push(resolve));
      });
    }
    const [dead, ...survivors] = nodes;
    if (dead !== undefined) await fixture.crash(dead);
    await expect.poll(() => checked.length, SETTLE).toBe(1);

    expect(survivors.some(({ ring }) => ring.owns(identifier(1_000)))).toBe(false);
    for (const release of releases) release();
    await expect.poll(() => survivors.some(({ ring }) => ring.owns(identifier(1_000))), SETTLE).toBe(true);
  });

  test('takes a restarted member back in its place', async () => {
    const [, second] = await ringOf(3);
    if (second === undefined) throw new Error('no node');
    await fixture.crash(second);
    const again = await fixture.open(2, second.self.id, second.settings);
    fixture.registry.put(again.self, 'active');
    await again.ring.begin({ role: 'resume', contacts: [] }, within());
    // Replaced meanwhile: then it is back as a newcomer, and becomes active again.
    if (again.ring.snapshot().self.phase === 'joining') await again.ring.enter('active', within());

    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
  });

  test('starts again after all of it was stopped', async () => {
    const nodes = await ringOf(3);
    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
    for (const node of nodes) await fixture.crash(node);
    for (const { self } of nodes) fixture.registry.put(self, 'active');

    const again: FixtureNode[] = [];
    for (const [i, { self, settings }] of nodes.entries()) {
      again.push(await fixture.open(i + 1, self.id, settings));
    }
    await Promise.all(again.map(({ ring }) => ring.begin({ role: 'resume', contacts: [] }, within())));

    await expect.poll(() => wrongLookups(fixture), SETTLE).toEqual([]);
    expect(
      again[0]?.ring
        .snapshot()
        .members.map(({ instanceId }) => instanceId)
        .sort(),
    ).toEqual(['i-1', 'i-2', 'i-3']);
  });
});
