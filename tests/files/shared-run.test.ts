import { describe, expect, test } from 'vitest';
import { SharedRun } from '../../node/files/shared-run.ts';

const forever = new AbortController().signal;
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** Work that ends when it is told to, with the number of its run. */
function countedRuns() {
  const ends: ((result: number) => void)[] = [];
  const run = new SharedRun(() => new Promise<number>((resolve) => ends.push(resolve)));
  const end = async (i: number) => {
    ends[i]?.(i);
    await turnOfTheLoop();
  };
  return { run, end, begunCount: () => ends.length };
}

describe('SharedRun', () => {
  test('a thousand callers at the same time cost one run, and those who come during it one more', async () => {
    const { run, end, begunCount } = countedRuns();
    const early = Array.from({ length: 1_000 }, () => run.result(forever));
    await turnOfTheLoop();
    const late = Array.from({ length: 1_000 }, () => run.result(forever));
    await turnOfTheLoop();
    expect(begunCount()).toBe(1);

    await end(0);
    await end(1);

    expect(new Set(await Promise.all(early))).toEqual(new Set([0]));
    expect(new Set(await Promise.all(late))).toEqual(new Set([1]));
    expect(begunCount()).toBe(2);
  });

  test('a caller that leaves takes nothing from the others, and a failure does not outlive its run', async () => {
    let fails = true;
    const run = new SharedRun(async () => {
      if (fails) throw new Error('broken');
      return 'fine';
    });
    const leaving = new AbortController();
    const left = run.result(leaving.signal);
    const stayed = run.result(forever);
    leaving.abort(new Error('left'));

    await expect(left).rejects.toThrow('left');
    await expect(stayed).rejects.toThrow('broken');
    fails = false;

    expect(await run.result(forever)).toBe('fine');
  });
});
