/**
 * The protocol with one correction taken out. The simulator must notice within 1,000 seeds: else it would not notice
 * either if the code did the same by mistake. Every configuration below is first seen to hold with all corrections in.
 */
import {
  ALL_CORRECTIONS,
  type ChordConfig,
  type Corrections,
  DEFAULT_CONFIG,
} from '../../node/chord/config.ts';
import { runHalves } from './halves.ts';
import { runScenario } from './scenario.ts';

export const MAX_SEEDS = 1_000;

export const CORRECTIONS = Object.keys(ALL_CORRECTIONS) as (keyof Corrections)[];

/** Short lists run out sooner: what is to be seen of these shows much more often. */
const SHORT_LISTS: readonly (keyof Corrections)[] = [
  'registryFallback',
  'keepDeadPredecessor',
  'majorityTakeOver',
];

export function configFor(name: keyof Corrections): ChordConfig {
  return SHORT_LISTS.includes(name) ? { ...DEFAULT_CONFIG, successorListLength: 2 } : DEFAULT_CONFIG;
}

/** Members that all know each other find each other again by that: the re-sync shows where they know their neighbours alone. */
export function scenarioFor(name: keyof Corrections): typeof runScenario {
  return name === 'registryResync' ? runHalves : runScenario;
}

export interface Catch {
  readonly name: keyof Corrections;
  readonly seed: number | undefined;
  readonly failure: string | undefined;
}

export function catchVariant(name: keyof Corrections, maxSeeds = MAX_SEEDS): Catch {
  const config = { ...configFor(name), corrections: { ...ALL_CORRECTIONS, [name]: false } };
  for (let seed = 1; seed <= maxSeeds; seed++) {
    const { failure } = scenarioFor(name)({ seed, config });
    if (failure !== undefined) return { name, seed, failure };
  }
  return { name, seed: undefined, failure: undefined };
}
