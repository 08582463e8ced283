import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RttEstimate } from '../../node/rpc/rtt-estimate.ts';

describe('RttEstimate', () => {
  test('waits as long as the paper before it knows anything', () => {
    expect(new RttEstimate().timeoutMs).toBe(500);
  });

  test('stays between 50 and 500 ms whatever is measured', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.double({ min: 0, max: 10_000, noNaN: true }))), (samples) => {
        const estimate = new RttEstimate();
        for (const sample of samples) {
          if (sample === null) estimate.timedOut();
          else estimate.measured(sample);
          expect(estimate.timeoutMs).toBeGreaterThanOrEqual(50);
          expect(estimate.timeoutMs).toBeLessThanOrEqual(500);
        }
      }),
    );
  });

  test('grows more patient with a peer that is late, and comes down again', () => {
    const estimate = new RttEstimate();
    for (let i = 0; i < 20; i++) estimate.measured(40);
    const calm = estimate.timeoutMs;
    estimate.timedOut();
    expect(estimate.timeoutMs).toBeGreaterThan(calm);
    for (let i = 0; i < 40; i++) estimate.measured(40);
    expect(estimate.timeoutMs).toBeCloseTo(50, 0);
  });
});
