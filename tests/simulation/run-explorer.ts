/** `npm run campaign:explorer`: the table of docs/protocol.md. `-- --full` adds five ids with r = 3, `--quick` leaves five out. */
import { parseArgs } from 'node:util';
import { ALL_CORRECTIONS, type Corrections } from '../../node/chord/config.ts';
import { type Exploration, type ExploreOptions, explore } from './explorer.ts';

interface Row {
  readonly name: string;
  readonly corrections: Partial<Corrections>;
  readonly idCount: number;
  readonly r: number;
  readonly options: ExploreOptions;
  /** What the row must show: nothing wrong ever; wrong at times but always healing; or broken. */
  readonly expected: 'sound' | 'heals' | 'breaks';
}

const ALL: ExploreOptions = { maxStates: 3_000_000 };

const ROWS: readonly Row[] = [
  { name: 'the protocol', corrections: {}, idCount: 3, r: 2, options: ALL, expected: 'sound' },
  { name: 'the protocol', corrections: {}, idCount: 4, r: 2, options: ALL, expected: 'sound' },
  { name: 'the protocol', corrections: {}, idCount: 4, r: 3, options: ALL, expected: 'sound' },
];

const FIVE: readonly Row[] = [
  { name: 'the protocol', corrections: {}, idCount: 5, r: 2, options: ALL, expected: 'sound' },
];
const FULL: readonly Row[] = [
  { name: 'the protocol', corrections: {}, idCount: 5, r: 3, options: ALL, expected: 'sound' },
];

const SOME: ExploreOptions = { maxStates: 40_000, healEvery: 7 };

const BROKEN: readonly Row[] = [
  broken('joins at any time, with re-sync', { serialAdmission: false }, 'heals'),
  broken('joins at any time, no re-sync', { serialAdmission: false, registryResync: false }, 'breaks'),
  broken(
    'lists not cut off at self (Zave below its base)',
    { ...asPublished(), truncateAtSelf: false },
    'breaks',
  ),
  broken('no table to fall back on', { ...asPublished() }, 'breaks'),
  broken('pointers adopted unseen', { ...asPublished(), contactBeforeAdopt: false }, 'breaks'),
  broken('lists not adopted whole', { ...asPublished(), wholeLists: false }, 'breaks'),
  broken('lives not told apart', { ...asPublished(), incarnations: false }, 'breaks'),
  broken('rectify without check', { ...asPublished(), rectifyChecks: false }, 'breaks'),
];

/** As published: joins at any time, and nobody to ask. */
function asPublished(): Partial<Corrections> {
  return { serialAdmission: false, registryFallback: false, registryResync: false };
}

function broken(name: string, corrections: Partial<Corrections>, expected: Row['expected']): Row {
  return { name, corrections, idCount: 4, r: 2, options: SOME, expected };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function verdict(row: Row, found: Exploration): boolean {
  const violations = found.noRing + found.twoRings + found.disordered + found.stranded;
  if (row.expected === 'sound') return violations === 0 && found.unhealed === 0 && !found.isCutOff;
  if (row.expected === 'heals') return found.unhealed === 0;
  return violations > 0 || found.unhealed > 0;
}

function main(): void {
  const { values } = parseArgs({ options: { full: { type: 'boolean' }, quick: { type: 'boolean' } } });
  const rows = [
    ...ROWS,
    ...(values.quick === true ? [] : FIVE),
    ...(values.full === true ? FULL : []),
    ...BROKEN,
  ];
  print(
    'variant                                          K,r   states  no ring  two rings  disordered  stranded  unhealed/tried',
  );
  let failed = 0;
  for (const row of rows) {
    const started = performance.now();
    const corrections = { ...ALL_CORRECTIONS, ...row.corrections };
    const model = { idCount: row.idCount, successorListLength: row.r, corrections };
    const found = explore(model, row.options);
    const isRight = verdict(row, found);
    if (!isRight) failed += 1;
    const columns = [
      row.name.padEnd(48),
      `${row.idCount},${row.r}`,
      `${found.states}${found.isCutOff ? '+' : ''}`.padStart(8),
      String(found.noRing).padStart(8),
      String(found.twoRings).padStart(10),
      String(found.disordered).padStart(11),
      String(found.stranded).padStart(9),
      `${found.unhealed}/${found.unhealed + found.healed}`.padStart(15),
      `${((performance.now() - started) / 1_000).toFixed(0)} s`.padStart(6),
      isRight ? `as expected (${row.expected})` : `NOT as expected (${row.expected}); ${found.example ?? ''}`,
    ];
    print(columns.join(' '));
  }
  print(`${rows.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main();
