/**
 * `npm run test:simulation -- ...` shows that the protocol holds; this shows that the simulator would notice if it
 * did not: each correction is taken out in turn, and a seed must fail within 1,000. Corrections of the pointers that
 * the member table makes good for are taken out without the table, too.
 */
import { ALL_CORRECTIONS, type Corrections, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { runScenario } from './scenario.ts';

const MAX_SEEDS = 1_000;

/** Two of them concern one node's way of asking or of listing, and have their own tests in tests/chord. */
const NAMES = Object.keys(ALL_CORRECTIONS) as (keyof Corrections)[];

export interface Catch {
  readonly name: keyof Corrections;
  readonly seed: number | undefined;
  readonly failure: string | undefined;
}

export function catchVariant(name: keyof Corrections, maxSeeds = MAX_SEEDS): Catch {
  const config = { ...DEFAULT_CONFIG, corrections: { ...ALL_CORRECTIONS, [name]: false } };
  for (let seed = 1; seed <= maxSeeds; seed++) {
    const { failure } = runScenario({ seed, config });
    if (failure !== undefined) return { name, seed, failure };
  }
  return { name, seed: undefined, failure: undefined };
}

if (process.argv[1]?.endsWith('run-variants.ts') === true) {
  let missed = 0;
  for (const name of NAMES) {
    const { seed, failure } = catchVariant(name);
    if (seed === undefined) missed += 1;
    const found = seed === undefined ? `not within ${MAX_SEEDS} seeds` : `seed ${seed}: ${failure}`;
    process.stdout.write(`without ${name.padEnd(22)} ${found}\n`);
  }
  process.stdout.write(`${NAMES.length - missed} passed, ${missed} failed\n`);
  process.exitCode = missed === 0 ? 0 : 1;
}
