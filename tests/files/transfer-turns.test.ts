import { describe, expect, test } from 'vitest';
import { type TransferLimits, TransferTurns } from '../../node/files/transfer-turns.ts';

const LIMITS: TransferLimits = {
  ...{ atOnce: 4, perCaller: 3, waiting: 2 },
  // The checks are made by the tests.
  ...{ patienceMs: 600_000, leastBytes: 1_000, windowMs: 10_000_000 },
};
const forever = new AbortController().signal;

/** Turns by a clock that the test moves. */
function desk(limits: Partial<TransferLimits> = {}) {
  let nowMs = 0;
  const given = { ...LIMITS, ...limits };
  const turns = new TransferTurns(given, () => nowMs);
  const take = (caller: string) => turns.take({ caller, signal: forever });
  const pass = (ms: number) => {
    nowMs += ms;
    turns.check();
  };
  return { turns, take, pass };
}

describe('turns of transfers', () => {
  test('a client that moves too little is told so, once a window is over, and one that keeps up is not', async () => {
    const { take, pass } = desk();
    const told: string[] = [];
    const slow = await take('a');
    const fast = await take('b');
    slow.waitForClient(() => told.push('slow'));
    fast.waitForClient(() => told.push('fast'));

    slow.moved(999);
    fast.moved(1_000);
    pass(9_999_999);
    expect(told).toEqual([]);
    pass(1);
    expect(told).toEqual(['slow']);
    pass(10_000_000);
    expect(told).toEqual(['slow', 'fast']);
  });

  test('a client that is not waited for cannot be too slow', async () => {
    const { take, pass } = desk();
    const told: string[] = [];
    const turn = await take('a');
    pass(20_000_000);
    turn.waitForClient(() => told.push('told'));
    turn.clientIsDone();

    pass(20_000_000);

    expect(told).toEqual([]);
  });

  test('one address leaves turns for others, and the next turn is for who has none', async () => {
    const { turns, take } = desk();
    const held = [await take('a'), await take('a'), await take('a')];
    expect(turns.tryTake('a')).toBeUndefined();
    const fourth = take('a');

    const other = turns.take({ caller: 'b', signal: forever });

    await other;
    held[0]?.end();
    await fourth;
  });

  test('who waits too long, or finds too many waiting, is told that the node is busy', async () => {
    const { turns, take } = desk();
    for (const caller of ['a', 'b', 'c', 'd']) await take(caller);

    await expect(turns.take({ caller: 'e', signal: forever, patienceMs: 1 })).rejects.toMatchObject({
      code: 'NODE_BUSY',
    });
    const waiting = [take('e'), take('e')];
    await expect(take('e')).rejects.toMatchObject({ code: 'NODE_BUSY' });
    expect(waiting).toHaveLength(2);
  });

  test('while somebody waits, slow ones are found out without being asked', async () => {
    const { turns, take } = desk({ windowMs: 0 });
    for (const caller of ['a', 'b', 'c', 'd']) {
      const turn = await take(caller);
      if (caller === 'b') turn.waitForClient(() => turn.end());
    }

    expect(await turns.take({ caller: 'e', signal: forever })).toBeDefined();
  });

  test('a turn that ends twice ends once', async () => {
    const { turns, take } = desk({ atOnce: 1, perCaller: 1 });
    const turn = await take('a');
    turn.end();
    turn.end();

    expect(turns.tryTake('b')).toBeDefined();
    expect(turns.tryTake('c')).toBeUndefined();
  });
});
