/** TON 2003, V-C, figure 10: how many members a lookup asks in a ring of N. */
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { type Distribution, distributionOf, markdownTable, meanAndBounds } from '../distribution.ts';
import { QuietRing } from './quiet-ring.ts';

/** Read off figure 10: mean, 1st and 99th percentile. */
const PAPER: Readonly<Record<number, readonly [mean: number, p1: number, p99: number]>> = {
  8: [1.7, 1, 3],
  16: [2.1, 1, 4],
  32: [2.5, 1, 5],
  64: [3.0, 1, 5],
  128: [3.4, 1, 6],
  256: [3.9, 1, 7],
  512: [4.4, 1, 7],
  1024: [4.9, 2, 8],
  2048: [5.4, 2, 9],
  4096: [5.9, 2, 10],
  8192: [6.4, 2, 10],
  16384: [6.9, 3, 11],
};

/** Chord as published, to see that the experiment is the paper's: one successor, fingers at 2^i. */
const AS_PUBLISHED: ChordConfig = {
  ...DEFAULT_CONFIG,
  memberTable: false,
  fingerBits: 1,
  successorListLength: 1,
};
const BY_FINGERS: ChordConfig = { ...DEFAULT_CONFIG, memberTable: false };

export function contactsPerLookup(options: {
  readonly memberCount: number;
  readonly lookupCount: number;
  readonly seed: number;
  readonly config: ChordConfig;
  readonly newcomerCount?: number;
}): Distribution {
  const ring = new QuietRing(options);
  const routes = Array.from({ length: options.lookupCount }, () => ring.lookUp());
  if (routes.some(({ hasReachedOwner }) => !hasReachedOwner)) throw new Error('a lookup found nobody');
  return distributionOf(routes.map(({ contacts }) => contacts));
}

/** The paper does not count the contact with the owner itself. */
function withoutOwner({ mean, p1, p99, ...rest }: Distribution): Distribution {
  return { ...rest, mean: mean - 1, p1: p1 - 1, p99: p99 - 1 };
}

export function pathLength(options: {
  readonly seed: number;
  readonly lookupCount: number;
  readonly largest: number;
}): { readonly table: string; readonly isAsGood: boolean } {
  const { seed, lookupCount, largest } = options;
  let isAsGood = true;
  const rows = Object.entries(PAPER).flatMap(([text, [mean, p1, p99]]) => {
    const memberCount = Number(text);
    if (memberCount > largest) return [];
    const measure = (config: ChordConfig) =>
      contactsPerLookup({ memberCount, lookupCount: Math.min(lookupCount, 100 * memberCount), seed, config });
    const published = measure(AS_PUBLISHED);
    const fingers = measure(BY_FINGERS);
    const table = measure(DEFAULT_CONFIG);
    isAsGood &&= fingers.mean - 1 <= mean && fingers.p99 - 1 <= p99 && table.mean <= mean;
    return [
      [
        text,
        `${mean.toFixed(1)} (${p1},${p99})`,
        meanAndBounds(withoutOwner(published)),
        meanAndBounds(withoutOwner(fingers)),
        meanAndBounds(fingers),
        meanAndBounds(table),
      ],
    ];
  });
  const heads = [
    'N',
    'paper, figure 10',
    'as published, here',
    'by fingers alone, r = 8, counted as the paper does',
    'the same, owner included',
    'with the table, owner included',
  ];
  return { table: markdownTable(heads, rows), isAsGood };
}
