import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RpcConnection } from '../../node/rpc/rpc-connection.ts';
import { CourseProcess } from './course-process.ts';
import { TextbookNode } from './textbook-node.ts';

const PORT = 5057;
const INTERVAL_MS = 300;
const KEYS = [0, 607_204_990, 1_500_000_000, 2_147_483_648, 3_300_000_000, 4_294_967_295];
const SETTLE = { timeout: 20_000, interval: 50 };

const textbook = [1, 2, 3].map((n) => new TextbookNode(`127.22.20.${n}`, PORT, INTERVAL_MS));
let ours: CourseProcess[] = [];

beforeAll(async () => {
  for (const node of textbook) await node.start();
  ours = await Promise.all([4, 5, 6].map((n) => CourseProcess.start(`127.22.20.${n}`, PORT, INTERVAL_MS)));
});

afterAll(async () => {
  await Promise.all([...textbook.map((node) => node.stop()), ...ours.map((node) => node.stop())]);
});

/** Of our nodes and, through them, of the whole ring. */
async function wrongAnswers(nodes: readonly unknown[][]): Promise<string[]> {
  const clockwise = [...nodes].sort((a, b) => Number(a[2]) - Number(b[2]));
  const running = ours.filter(({ isRunning }) => isRunning);
  const answers = await Promise.all(
    running.flatMap((node) =>
      KEYS.map(async (key) => {
        const expected = clockwise.find(([, , id]) => Number(id) >= key) ?? clockwise[0];
        const found = await node.call('find_successor', key).catch(String);
        return JSON.stringify(found) === JSON.stringify(expected)
          ? []
          : [`${node.ip} ${key} ${String(found)}`];
      }),
    ),
  );
  return answers.flat();
}

describe('a ring of textbook nodes and ours', () => {
  test('forms, whichever kind is joined through, and agrees on every key', async () => {
    const [first, second, third] = textbook;
    await ours[0]?.call('join', first?.self);
    const joinTextbook = async (node: TextbookNode | undefined, contact: unknown): Promise<void> => {
      const [host = '', port = 0] = node?.self ?? [];
      const connection = await RpcConnection.open({ host, port, connectTimeoutMs: 500 });
      await connection.call('join', [contact], { timeoutMs: 3_000 });
      connection.close();
    };
    await joinTextbook(second, ours[0]?.node);
    await ours[1]?.call('join', second?.self);
    await joinTextbook(third, first?.self);
    await ours[2]?.call('join', ours[1]?.node);

    const all = [...textbook.map(({ self }) => [...self]), ...ours.map(({ node }) => node)];
    await expect.poll(() => wrongAnswers(all), SETTLE).toEqual([]);
  });

  test('heals after one of ours was killed', async () => {
    await ours[1]?.signal('SIGKILL');

    const left = [
      ...textbook.map(({ self }) => [...self]),
      ...[ours[0], ours[2]].map((node) => node?.node ?? []),
    ];
    await expect.poll(() => wrongAnswers(left), SETTLE).toEqual([]);
  });

  test('never hears a method, or an index, that the course’s node does not know', () => {
    expect(textbook.map(({ died }) => died)).toEqual([undefined, undefined, undefined]);
  });
});
