/** `npm run campaign:explorer`: the tables of docs/protocol.md. `-- --quick` leaves out what takes minutes. */
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

const ROWS: readonly Row[] = [sound(3, 2), sound(4, 2), sound(4, 3)];
const FIVE: readonly Row[] = [sound(5, 2), sound(5, 3)];

/** Beyond these there are millions of states, of which so many are looked at, and every seventh is healed. */
const SOME: ExploreOptions = { maxStates: 40_000, healEvery: 7 };

/** As published: joins at any time, nobody to ask, lists padded, ids without lives. */
const PUBLISHED: Partial<Corrections> = {
  serialAdmission: false,
  registryFallback: false,
  registryResync: false,
  truncateAtSelf: false,
  incarnations: false,
};

const VARIANTS: readonly Row[] = [
  variant(3, 'the rules of 2001, with recovery', {
    ...PUBLISHED,
    contactBeforeAdopt: false,
    wholeLists: false,
    keepDeadPredecessor: false,
  }),
  variant(3, 'the same, nobody adopted unseen', { ...PUBLISHED, keepDeadPredecessor: false }),
  variant(3, "Zave's, run below its base", PUBLISHED),
  variant(3, "Zave's, and lives told apart", { ...PUBLISHED, incarnations: true }),
  variant(3, 'joins at any time, lists cut off, no re-sync', {
    serialAdmission: false,
    registryResync: false,
  }),
  variant(3, 'no table to fall back on', { registryFallback: false, registryResync: false }),
  variant(3, 'lists not adopted whole', { wholeLists: false }),
  { ...variant(3, 'joins at any time, with re-sync', { serialAdmission: false }), expected: 'heals' },
];

const LARGER: readonly Row[] = [
  {
    ...variant(4, 'joins at any time, no re-sync', { serialAdmission: false, registryResync: false }),
    options: SOME,
  },
  {
    ...variant(4, 'joins at any time, with re-sync', { serialAdmission: false }),
    options: SOME,
    expected: 'heals',
  },
];

function sound(idCount: number, r: number): Row {
  return { name: 'the protocol', corrections: {}, idCount, r, options: ALL, expected: 'sound' };
}

function variant(idCount: number, name: string, corrections: Partial<Corrections>): Row {
  return { name, corrections, idCount, r: 2, options: ALL, expected: 'breaks' };
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
  const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
  const isQuick = values.quick === true;
  const rows = [...ROWS, ...VARIANTS, ...(isQuick ? [] : [...FIVE, ...LARGER])];
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
