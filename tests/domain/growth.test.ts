import { describe, expect, test } from 'vitest';
import type { GrowthOptions } from '../../bench/growth/growing-ring.ts';
import { meanUtilisation, runGrowth, unrelieved } from '../../bench/growth/run-growth.ts';
import { byteMap } from '../../domain/byte-map.ts';
import { identifier } from '../../domain/identifier.ts';

/** The small brother of `npm run campaign:placement`. */
const SEEDS = [1, 2, 3, 4];
const NODES = 20;

function runs(options: Pick<GrowthOptions, 'policy' | 'sizes'>) {
  const shared = { capacityBytes: 2 ** 30, thresholdPercent: 80, maxSize: 100 };
  return SEEDS.map((seed) => runGrowth({ ...shared, ...options, seed }, NODES));
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

describe('while twenty nodes are added by alarm to a ring that fills with heavy-tailed files', () => {
  const grown = runs({ policy: 'bytes', sizes: 'pareto' });

  test('the volumes are used to 0.60 on the mean when the alarm fires', () => {
    for (const { steps } of grown) expect(meanUtilisation(steps)).toBeGreaterThanOrEqual(0.6);
    const later = grown.map(({ steps }) => meanUtilisation(steps.filter(({ members }) => members >= 5)));
    expect(mean(later)).toBeGreaterThanOrEqual(0.6);
  });

  test('the fullest member stores at most 1.3 times the mean at the end', () => {
    expect(mean(grown.map(({ maxToMean }) => maxToMean))).toBeLessThanOrEqual(1.3);
  });

  test('the fullest volume always drops when its helpers have joined', () => {
    for (const { steps } of grown) expect(unrelieved(steps)).toEqual([]);
  });

  test('a step that relieves nobody is never taken alone: two members become four, never three', () => {
    for (const { steps } of grown) {
      for (const { members, added } of steps) expect(members + added).toBeGreaterThan(3);
    }
  });

  test('hashed positions do far worse on the same files', () => {
    const hashed = runs({ policy: 'hash', sizes: 'pareto' });

    expect(
      mean(hashed.map(({ steps }) => meanUtilisation(steps.filter(({ members }) => members >= 5)))),
    ).toBeLessThan(0.55);
    expect(mean(hashed.map(({ maxToMean }) => maxToMean))).toBeGreaterThan(1.7);
    expect(hashed.flatMap(({ steps }) => unrelieved(steps))).not.toEqual([]);
  });
});

describe('reports of different ages', () => {
  const quarter = 0x4000_0000;
  const whole = {
    id: identifier(0),
    predecessorId: identifier(0),
    arcWeights: [1, 2, 3, 4].map((part) => ({ upTo: identifier(part * quarter), bytes: 100 })),
  };

  test('what a newcomer has taken over is read from the report of whom it took it from', () => {
    const map = byteMap([whole, { id: identifier(2 * quarter), arcWeights: [] }]);

    expect(map.totalBytes).toBeCloseTo(400);
    expect(map.bytesIn(identifier(0), identifier(2 * quarter))).toBeCloseTo(200);
  });

  test('once the newcomer reports, its own word counts, and no byte is counted twice', () => {
    const newcomer = {
      id: identifier(2 * quarter),
      predecessorId: identifier(0),
      arcWeights: [{ upTo: identifier(2 * quarter), bytes: 260 }],
    };

    const map = byteMap([whole, newcomer]);

    expect(map.bytesIn(identifier(0), identifier(2 * quarter))).toBeCloseTo(260);
    expect(map.totalBytes).toBeCloseTo(460);
  });

  test('what a member that drains stores goes to its successor', () => {
    const leaving = {
      id: identifier(quarter),
      predecessorId: identifier(0),
      arcWeights: [{ upTo: identifier(quarter), bytes: 70 }],
    };
    const successor = {
      id: identifier(0),
      predecessorId: identifier(quarter),
      arcWeights: [{ upTo: identifier(0), bytes: 30 }],
    };

    expect(byteMap([successor], [leaving]).totalBytes).toBeCloseTo(100);
    expect(byteMap([successor]).totalBytes).toBeCloseTo(30);
  });
});
