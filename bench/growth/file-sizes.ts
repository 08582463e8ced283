import type { Dice } from '../../tests/simulation/random.ts';

export type SizeDistribution = 'equal' | 'pareto';

const MIB = 2 ** 20;
/** The mean of both distributions, so that their runs compare. */
const MEAN_BYTES = 6 * MIB;
const PARETO_EXPONENT = 1.2;
const PARETO_SMALLEST_BYTES = (MEAN_BYTES * (PARETO_EXPONENT - 1)) / PARETO_EXPONENT;
/** A file of a quarter of a volume: beyond that nobody stores files on volumes of this size. */
const LARGEST_BYTES = 256 * MIB;

export function drawSize(dice: Dice, distribution: SizeDistribution): number {
  if (distribution === 'equal') return MEAN_BYTES;
  const size = PARETO_SMALLEST_BYTES / (1 - dice.next()) ** (1 / PARETO_EXPONENT);
  return Math.min(LARGEST_BYTES, Math.ceil(size));
}
