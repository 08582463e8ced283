import { describe, expect, test } from 'vitest';
import { FairTurns } from '../../node/ring/fair-turns.ts';

const OPTIONS = { atOnce: 4, perCaller: 2, waiting: 8 };
const FOREVER = new AbortController().signal;

/** Work that ends when it is told to. */
class Desk {
  readonly turns = new FairTurns(OPTIONS);
  readonly started: string[] = [];
  readonly #ends = new Map<string, () => void>();

  ask(caller: string, name: string, signal: AbortSignal = FOREVER): Promise<string> {
    return this.turns.run(caller, signal, async () => {
      this.started.push(name);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      return name;
    });
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('FairTurns', () => {
  test('starts no more than its bounds allow, and the next as soon as one ends', async () => {
    const desk = new Desk();
    const all = ['a1', 'a2', 'a3'].map((name) => desk.ask('a', name));
    await desk.end('');
    expect(desk.started).toEqual(['a1', 'a2']);

    await desk.end('a1');
    expect(desk.started).toEqual(['a1', 'a2', 'a3']);
    await desk.end('a2');
    await desk.end('a3');
    expect(await Promise.all(all)).toEqual(['a1', 'a2', 'a3']);
  });

  test('gives a newcomer its turn before the rest of a flood', async () => {
    const desk = new Desk();
    for (const name of ['a1', 'a2', 'a3', 'a4']) void desk.ask('a', name);
    for (const name of ['b1', 'b2', 'b3', 'b4']) void desk.ask('b', name);
    void desk.ask('c', 'c1');
    await desk.end('');
    expect(desk.started).toEqual(['a1', 'a2', 'b1', 'b2']);

    await desk.end('a1');
    await desk.end('b1');
    await desk.end('a2');

    expect(desk.started.indexOf('c1')).toBeLessThan(7);
    expect(desk.started).toContain('c1');
  });

  test('tells a caller at once when too many wait, and goes on', async () => {
    const desk = new Desk();
    const flood = Array.from({ length: 11 }, (_, i) => desk.ask('a', `a${i}`));
    await expect(flood[10]).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });

    for (let i = 0; i < 10; i++) await desk.end(`a${i}`);
    expect(await Promise.all(flood.slice(0, 10))).toHaveLength(10);
  });

  test('forgets who does not wait any longer', async () => {
    const desk = new Desk();
    void desk.ask('a', 'a1');
    void desk.ask('a', 'a2');
    const impatient = new AbortController();
    const late = desk.ask('a', 'late', impatient.signal);
    const next = desk.ask('a', 'next');
    impatient.abort();
    await expect(late).rejects.toThrow('DEADLINE_EXCEEDED');

    await desk.end('a1');
    expect(desk.started).toEqual(['a1', 'a2', 'next']);
    await desk.end('next');
    expect(await next).toBe('next');
  });
});
