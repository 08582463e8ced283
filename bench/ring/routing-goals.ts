/** Members asked per lookup, in a whole ring and in one of which half died. */
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { meanAndBounds } from '../distribution.ts';
import { contactsPerLookup } from '../paper/path-length.ts';
import { lookUpAmongDead } from '../paper/simultaneous-failures.ts';
import type { GoalRow } from './goal-row.ts';

interface RoutingOptions {
  readonly seed: number;
  readonly lookupCount: number;
}

export function contactGoals({ seed, lookupCount }: RoutingOptions): readonly GoalRow[] {
  const measure = (memberCount: number, config: ChordConfig) =>
    contactsPerLookup({ memberCount, lookupCount, seed, config });
  const row = (memberCount: number, toBeat: string, most: number): GoalRow => {
    const run = measure(memberCount, DEFAULT_CONFIG);
    return {
      metric: `contacts per lookup with the table, owner included, N = ${memberCount}`,
      toBeat,
      goal: `<= ${most}, p99 <= 2`,
      ours: meanAndBounds(run),
      isMet: run.mean <= most && run.p99 <= 2,
    };
  };
  const fingers = measure(1_000, { ...DEFAULT_CONFIG, memberTable: false });
  return [
    row(16, '1.9 (r = 1)', 1),
    row(1_000, '4.8 (r = 1), 3.84 (r = 20)', 1.02),
    {
      metric: 'the same by fingers alone, r = 8, N = 1,000',
      toBeat: '3.84',
      goal: '<= 3.5',
      ours: meanAndBounds(fingers),
      isMet: fingers.mean <= 3.5,
    },
  ];
}

const DEAD_GOALS: readonly (readonly [p: number, toBeat: string, timeouts: number])[] = [
  [0.1, '4.03 / 0.60 / 0', 0.12],
  [0.2, '4.22 / 1.17 / 0', 0.25],
  [0.3, '4.44 / 2.02 / 0', 0.43],
  [0.4, '4.69 / 3.23 / 0', 0.67],
  [0.5, '5.09 / 5.10 / 0', 1],
];

export function deathGoals({ seed, lookupCount }: RoutingOptions): readonly GoalRow[] {
  return DEAD_GOALS.map(([p, toBeat, most]) => {
    const run = lookUpAmongDead({ p, seed, lookupCount, config: DEFAULT_CONFIG });
    const asked = run.contacts.mean + run.allTimeouts.mean;
    return {
      metric: `${100 * p} % of 1,000 die at once, no repair: members asked, dead ones included / timeouts / failures`,
      toBeat,
      goal: `<= 2.0 / <= ${most} / 0`,
      ours: `${asked.toFixed(2)} / ${run.allTimeouts.mean.toFixed(2)} / ${run.failed}`,
      isMet: asked <= 2 && run.allTimeouts.mean <= most && run.failed === 0,
    };
  });
}
