import { describe, expect, test } from 'vitest';
import { GenesisRun } from '../../bench/genesis/genesis-run.ts';
import type { Variant } from '../../bench/genesis/variants.ts';

/** The small brother of `npm run campaign:genesis`, which runs 1,000 seeds. */
const SEEDS = Array.from({ length: 15 }, (_, index) => index + 1);

describe('of five instances that launch at once, with deaths, freezes and lost, late and doubled events', () => {
  test('all are in exactly one ring in the end, and never did two rings serve at once', {
    timeout: 120_000,
  }, async () => {
    for (const seed of SEEDS) {
      const { faults } = await new GenesisRun(seed, 'whole').run();
      expect([seed, faults]).toEqual([seed, []]);
    }
  });

  test.each([
    [
      'the lease, a creator that died leaves the ring unformed for ever',
      'withoutLease',
      'the ring is CREATING',
    ],
    ['fencing, a creator that overslept serves a second ring', 'withoutFencing', '2 rings serve at once'],
    ['its condition, the claim lets several create', 'withoutCondition', '2 rings serve at once'],
  ] as const)('without %s', { timeout: 120_000 }, async (_what, variant, fault) => {
    expect(await firstFaults(variant)).toContain(fault);
  });
});

/** Of the first seed that the variant does not survive. */
async function firstFaults(variant: Variant): Promise<readonly string[]> {
  for (let seed = 1; seed <= 60; seed++) {
    const { faults } = await new GenesisRun(seed, variant).run();
    if (faults.length > 0) return faults;
  }
  return [];
}

test('a process that wakes after its instance was given up never revives its row (seed 124 of the campaign)', async () => {
  expect((await new GenesisRun(124, 'whole').run()).faults).toEqual([]);
});
