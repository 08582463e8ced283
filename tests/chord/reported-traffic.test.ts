/** As `reported-failures.test.ts`: what membership costs, and what lookups come to, while members come and go. */
import { describe, expect, test } from 'vitest';
import { WIRE_SIZES } from '../../bench/message-sizes.ts';
import { runChurn } from '../../bench/paper/churning-ring.ts';
import { identifier } from '../../domain/identifier.ts';
import { DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { smallRing, untilIdeal } from './small-ring.ts';

describe('5.22: a newcomer that floods the list of members', () => {
  /** Bytes on the wire per member in the time from a join to a ring that is ideal and quiet again. */
  function bytesPerMember(count: number, newcomers: number): number {
    const { simulation } = smallRing(count, { isWatched: false });
    simulation.sizes = WIRE_SIZES;
    simulation.runUntil(simulation.nowMs + 30_000);
    const before = simulation.counts.bytes;
    for (let i = 0; i < newcomers; i++) simulation.join(simulation.addNode(identifier(77 + i * 2 ** 20)));
    simulation.runUntil(simulation.nowMs + 30_000);
    expect(untilIdeal(simulation)).toBe(0);
    return (simulation.counts.bytes - before) / (count + newcomers);
  }

  const costOfJoin = (count: number) => bytesPerMember(count, 1) - bytesPerMember(count, 0);

  test('a join costs each member less in a ring of 64 than in one of 8, though the list is eight times as long', () => {
    const [few, many] = [costOfJoin(8), costOfJoin(64)];

    expect(few).toBeLessThan(8_192);
    expect(many).toBeLessThan(few / 2);
  });
});

describe('5.25: lookups while members come and go', () => {
  test.each([true, false])(
    'all find the owner, with lifetimes of two minutes (member table: %s)',
    (memberTable) => {
      const memberCount = 32;
      const { failed, lookups, joined, left } = runChurn({
        memberCount,
        seed: 3,
        config: { ...DEFAULT_CONFIG, memberTable },
        changesPerSecond: memberCount / 120,
        lookupsPerSecond: 20,
        lookupCount: 1_200,
        meanDelayMs: 10,
      });

      expect(Math.min(joined, left)).toBeGreaterThan(5);
      expect(lookups).toBe(1_200);
      expect(failed).toBe(0);
    },
  );
});
