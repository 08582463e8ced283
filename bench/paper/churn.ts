/** TON 2003, V-E, table III: lookups while members join and leave a ring of 1,000. */
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { markdownTable, meanAndBounds } from '../distribution.ts';
import { type ChurnRun, runChurn } from './churning-ring.ts';

interface PaperRow {
  readonly rate: number;
  readonly path: readonly [mean: number, p1: number, p99: number];
  readonly timeouts: readonly [mean: number, p1: number, p99: number];
  readonly failedOf10000: number;
}
const PAPER: readonly PaperRow[] = [
  { rate: 0.05, path: [3.9, 1, 9], timeouts: [0.05, 0, 2], failedOf10000: 0 },
  { rate: 0.1, path: [3.83, 1, 9], timeouts: [0.11, 0, 2], failedOf10000: 0 },
  { rate: 0.15, path: [3.84, 1, 9], timeouts: [0.16, 0, 2], failedOf10000: 2 },
  { rate: 0.2, path: [3.81, 1, 9], timeouts: [0.23, 0, 3], failedOf10000: 5 },
  { rate: 0.25, path: [3.83, 1, 9], timeouts: [0.3, 0, 3], failedOf10000: 6 },
  { rate: 0.3, path: [3.91, 1, 9], timeouts: [0.34, 0, 4], failedOf10000: 8 },
  { rate: 0.35, path: [3.94, 1, 10], timeouts: [0.42, 0, 4], failedOf10000: 16 },
  { rate: 0.4, path: [4.06, 1, 10], timeouts: [0.46, 0, 5], failedOf10000: 15 },
];
const PAPER_SETTING = { memberCount: 1_000, meanDelayMs: 50 } as const;
/** The paper's 2 log2 N. */
const SUCCESSORS = 20;
export const WITH_TABLE: ChordConfig = { ...DEFAULT_CONFIG, successorListLength: SUCCESSORS };
const BY_FINGERS: ChordConfig = { ...WITH_TABLE, memberTable: false };

const paperCell = ([mean, p1, p99]: PaperRow['path']): string => `${mean.toFixed(2)} (${p1},${p99})`;
const failures = ({ failed, lookups }: ChurnRun): string => ((failed / lookups) * 10_000).toFixed(0);
const precise = ({ mean, p1, p99 }: ChurnRun['timeouts']): string => `${mean.toFixed(4)} (${p1},${p99})`;

export function churn(options: {
  readonly seed: number;
  readonly lookupCount: number;
  readonly lookupsPerSecond: number;
  readonly rates: readonly number[];
}): { readonly table: string; readonly isAsGood: boolean } {
  let isAsGood = true;
  const chosen = PAPER.filter(({ rate }) => options.rates.length === 0 || options.rates.includes(rate));
  const rows = chosen.map(({ rate, path, timeouts, failedOf10000 }) => {
    const measure = (config: ChordConfig) =>
      runChurn({ ...PAPER_SETTING, ...options, config, changesPerSecond: rate });
    const table = measure(WITH_TABLE);
    const fingers = measure(BY_FINGERS);
    for (const run of [table, fingers]) {
      isAsGood &&= run.contacts.mean <= path[0] && run.timeouts.mean <= timeouts[0];
      isAsGood &&= (run.failed / run.lookups) * 10_000 <= failedOf10000;
    }
    return [
      rate.toFixed(2),
      paperCell(path),
      meanAndBounds(table.contacts),
      meanAndBounds(fingers.contacts),
      paperCell(timeouts),
      precise(table.timeouts),
      precise(fingers.timeouts),
      `${failedOf10000} / ${failures(table)} / ${failures(fingers)}`,
      `${table.joined} + ${table.left} / ${table.lookups}`,
    ];
  });
  const heads = [
    'R per s',
    'path: paper, table III',
    'with the table, owner included',
    'by fingers, owner included',
    'timeouts: paper',
    'with the table',
    'by fingers',
    'failed of 10,000: paper / table / fingers',
    'joins + leaves / lookups',
  ];
  return { table: markdownTable(heads, rows), isAsGood };
}
