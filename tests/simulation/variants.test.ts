/** What `npm run campaign:variants` shows for every correction, here for those that few seeds are enough for. */
import { describe, expect, test } from 'vitest';
import type { Corrections } from '../../node/chord/config.ts';
import { CORRECTIONS, catchVariant } from './variants.ts';

/** These take some hundred seeds: too many for every run. */
const LATE: readonly (keyof Corrections)[] = ['registryFallback', 'keepDeadPredecessor', 'majorityTakeOver'];

const ENOUGH_SEEDS = 100;

describe('the simulator', () => {
  test.each(CORRECTIONS.filter((name) => !LATE.includes(name)))('notices when %s is taken out', (name) => {
    expect(catchVariant(name, ENOUGH_SEEDS).failure).toBeDefined();
  });
});
