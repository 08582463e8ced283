import { randomBytes } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawCaller } from '../rpc/raw-caller.ts';
import { CourseProcess } from './course-process.ts';

/** The course's part-1 scenario, with eight processes, while somebody throws rubbish at every port. */
const PORT = 5057;
const INTERVAL_MS = 500;
const KEYS = [
  0, 1, 607_204_990, 716_540_891, 1_000_000_000, 1_324_994_620, 2_000_000_000, 2_147_483_647, 2_147_483_648,
  3_000_000_000, 4_000_000_000, 4_294_967_295,
];
/** What the course gives the ring to recover. */
const SETTLE = { timeout: 20_000, interval: 50 };

let nodes: CourseProcess[] = [];
let isThrowing = true;
let thrower: Promise<void>;

/** The omniscient ring: the first running node at or after the key. */
function owner(key: number): unknown[] {
  const running = nodes.filter((node) => node.isRunning).sort((a, b) => a.id - b.id);
  return (running.find((node) => node.id >= key) ?? running[0])?.node ?? [];
}

async function wrongLookups(): Promise<string[]> {
  const running = nodes.filter((node) => node.isRunning);
  const answers = await Promise.all(
    running.flatMap((node) =>
      KEYS.map(async (key) => {
        const found = await node.call('find_successor', key).catch((error: unknown) => String(error));
        return JSON.stringify(found) === JSON.stringify(owner(key))
          ? []
          : [`${node.ip} ${key}: ${String(found)}`];
      }),
    ),
  );
  return answers.flat();
}

async function throwRubbish(): Promise<void> {
  while (isThrowing) {
    for (const node of nodes.filter(({ isRunning }) => isRunning)) {
      try {
        const caller = await RawCaller.open(PORT, node.ip);
        caller.send(encode([0, 1, 'get_successor', [5]]));
        caller.send(encode([0, 2, 'notify', [['10.255.255.1', 5057, 7]]]));
        await caller.next();
        caller.send(randomBytes(200));
        caller.destroy();
      } catch {
        // It was killed just now.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeAll(async () => {
  nodes = await Promise.all(
    Array.from({ length: 8 }, (_, i) => CourseProcess.start(`127.22.0.${1 + i}`, PORT, INTERVAL_MS)),
  );
  thrower = throwRubbish();
});

afterAll(async () => {
  isThrowing = false;
  await thrower;
  await Promise.all(nodes.map((node) => node.stop()));
});

async function joinThroughAny(from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    const contact = nodes[Math.floor(i / 2)];
    await expect(nodes[i]?.call('join', contact?.node)).resolves.toBeNull();
  }
}

describe('eight nodes started by hand', () => {
  test('refuse to answer lookups before they are in a ring', async () => {
    await expect(nodes[0]?.call('find_successor', 1)).rejects.toThrow('NODE_NOT_READY');
    expect(await nodes[0]?.call('get_info')).toEqual(nodes[0]?.node);
  });

  test('agree on 12 keys with 4 members that joined through any', async () => {
    await nodes[0]?.call('create');
    await joinThroughAny(1, 4);
    const others = nodes;
    nodes = others.slice(0, 4);

    await expect.poll(wrongLookups, SETTLE).toEqual([]);
    nodes = others;
  });

  test('agree with 8, and a create as upload.py sends it changes nothing', async () => {
    await joinThroughAny(4, 8);
    await expect.poll(wrongLookups, SETTLE).toEqual([]);

    expect(await nodes[3]?.call('create')).toBeNull();
    expect(await wrongLookups()).toEqual([]);
  });

  test('tell their neighbours in ring order', async () => {
    const clockwise = [...nodes].sort((a, b) => a.id - b.id);
    const at = (i: number): unknown[] | undefined => clockwise[(i + 8) % 8]?.node;
    await expect
      .poll(() => Promise.all(clockwise.map((node) => node.call('get_predecessor'))), SETTLE)
      .toEqual(clockwise.map((_, i) => at(i - 1)));
    for (const hop of [0, 1, 2]) {
      await expect
        .poll(() => Promise.all(clockwise.map((node) => node.call('get_successor', hop))), SETTLE)
        .toEqual(clockwise.map((_, i) => at(i + 1 + hop)));
    }
  });

  test('answer a bad call with an error and live', async () => {
    for (const node of nodes) {
      await expect(node.call('get_successor', 5)).rejects.toThrow('out of range');
      await expect(node.call('nosuch')).rejects.toThrow(
        "rpclib: server could not find function 'nosuch' with argument count 0.",
      );
      await expect(node.call('find_successor')).rejects.toThrow('Expected: 1, got: 0');
      await expect(node.call('find_successor', -1)).rejects.toThrow('not an identifier');
      await expect(node.call('join', ['', 0, 0])).rejects.toThrow('not a node');
    }
    expect(nodes.every(({ isRunning }) => isRunning)).toBe(true);
  });

  test('are right again after one was killed', async () => {
    await nodes[2]?.signal('SIGKILL');

    await expect.poll(wrongLookups, SETTLE).toEqual([]);
  });

  test('are right again after two neighbours were killed at once', async () => {
    const clockwise = nodes.filter(({ isRunning }) => isRunning).sort((a, b) => a.id - b.id);
    await Promise.all([clockwise[3]?.signal('SIGKILL'), clockwise[4]?.signal('SIGKILL')]);

    await expect.poll(wrongLookups, SETTLE).toEqual([]);
  });

  test('end by kill, and only the one that was told', async () => {
    const [killed] = nodes.filter(({ isRunning }) => isRunning);
    expect(await killed?.call('kill')).toBeNull();

    expect(await killed?.exited()).toBe(0);
    await expect.poll(wrongLookups, SETTLE).toEqual([]);
    expect(nodes.filter(({ isRunning }) => isRunning)).toHaveLength(4);
  });
});
