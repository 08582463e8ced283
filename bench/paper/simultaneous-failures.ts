/** TON 2003, V-D, table II: each of 1,000 members dies with probability p at once, and nothing is repaired. */
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { type Distribution, distributionOf, markdownTable, meanAndBounds } from '../distribution.ts';
import { QuietRing } from './quiet-ring.ts';

interface PaperRow {
  readonly p: number;
  readonly path: readonly [mean: number, p1: number, p99: number];
  readonly timeouts: readonly [mean: number, p1: number, p99: number];
}
const PAPER: readonly PaperRow[] = [
  { p: 0, path: [3.84, 2, 5], timeouts: [0, 0, 0] },
  { p: 0.1, path: [4.03, 2, 6], timeouts: [0.6, 0, 2] },
  { p: 0.2, path: [4.22, 2, 6], timeouts: [1.17, 0, 3] },
  { p: 0.3, path: [4.44, 2, 6], timeouts: [2.02, 0, 5] },
  { p: 0.4, path: [4.69, 2, 7], timeouts: [3.23, 0, 8] },
  { p: 0.5, path: [5.09, 3, 8], timeouts: [5.1, 0, 11] },
];
const MEMBER_COUNT = 1_000;
/** The paper's 2 log2 N. */
const SUCCESSORS = 20;

export interface FailureRun {
  readonly contacts: Distribution;
  /** Dead members asked on the way, as the paper counts them. */
  readonly timeouts: Distribution;
  /** The same with dead owners, whom the paper leaves out as it leaves out the owner. */
  readonly allTimeouts: Distribution;
  readonly failed: number;
}

export function lookUpAmongDead(options: {
  readonly p: number;
  readonly seed: number;
  readonly lookupCount: number;
  readonly config: ChordConfig;
}): FailureRun {
  const ring = new QuietRing({ ...options, memberCount: MEMBER_COUNT });
  ring.kill(options.p);
  const routes = Array.from({ length: options.lookupCount }, () => ring.lookUp());
  const reached = routes.filter(({ hasReachedOwner }) => hasReachedOwner);
  return {
    contacts: distributionOf(reached.map(({ contacts }) => contacts)),
    timeouts: distributionOf(reached.map(({ timeouts }) => timeouts)),
    allTimeouts: distributionOf(reached.map(({ timeouts, deadOwners }) => timeouts + deadOwners)),
    failed: routes.length - reached.length,
  };
}

const paperCell = ([mean, p1, p99]: PaperRow['path']): string => `${mean.toFixed(2)} (${p1},${p99})`;

export function simultaneousFailures(options: { readonly seed: number; readonly lookupCount: number }): {
  readonly table: string;
  readonly isAsGood: boolean;
} {
  let isAsGood = true;
  const rows = PAPER.map(({ p, path, timeouts }) => {
    const measure = (config: ChordConfig) => lookUpAmongDead({ ...options, p, config });
    const fingers = measure({ ...DEFAULT_CONFIG, memberTable: false, successorListLength: SUCCESSORS });
    const table = measure({ ...DEFAULT_CONFIG, successorListLength: SUCCESSORS });
    for (const run of [fingers, table]) {
      isAsGood &&= run.failed === 0 && run.contacts.mean <= path[0] && run.contacts.p99 <= path[2];
      isAsGood &&= run.timeouts.mean <= timeouts[0] && run.timeouts.p99 <= timeouts[2];
      isAsGood &&= run.allTimeouts.mean <= timeouts[0];
    }
    return [
      String(p),
      paperCell(path),
      meanAndBounds(fingers.contacts),
      meanAndBounds(table.contacts),
      paperCell(timeouts),
      meanAndBounds(fingers.timeouts),
      meanAndBounds(fingers.allTimeouts),
      meanAndBounds(table.allTimeouts),
      `0 / ${fingers.failed} / ${table.failed}`,
    ];
  });
  const heads = [
    'p',
    'path: paper, table II',
    'by fingers, owner included',
    'with the table, owner included',
    'timeouts: paper',
    'by fingers',
    'by fingers, dead owners included',
    'with the table, dead owners included',
    'failed: paper / fingers / table',
  ];
  return { table: markdownTable(heads, rows), isAsGood };
}
