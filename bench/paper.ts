/**
 * The experiments of the Chord paper (TON 2003, V), with the real core over the simulator's virtual network, beside
 * the paper's own numbers. `npm run bench:paper [-- --seed 1 --only path,failures,churn,load --lookups 10000
 * --largest 16384]`. Ends with exit code 1 when a row is worse than the paper's.
 */
import { parseArgs } from 'node:util';
import { churn } from './paper/churn.ts';
import { load } from './paper/load.ts';
import { pathLength } from './paper/path-length.ts';
import { simultaneousFailures } from './paper/simultaneous-failures.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: 'path,failures,churn,load' },
    lookups: { type: 'string', default: '10000' },
    rate: { type: 'string', default: '50' },
    changes: { type: 'string', default: '' },
    largest: { type: 'string', default: '16384' },
  },
});
const seed = Number(values.seed);
const lookupCount = Number(values.lookups);
const rates = values.changes
  .split(',')
  .filter((text) => text !== '')
  .map(Number);

const EXPERIMENTS: Readonly<Record<string, () => { readonly table: string; readonly isAsGood: boolean }>> = {
  path: () => pathLength({ seed, lookupCount, largest: Number(values.largest) }),
  failures: () => simultaneousFailures({ seed, lookupCount }),
  load: () => load({ seed }),
  churn: () => churn({ seed, lookupCount, lookupsPerSecond: Number(values.rate), rates }),
};

for (const name of values.only.split(',')) {
  const started = performance.now();
  const outcome = EXPERIMENTS[name]?.();
  if (outcome === undefined) continue;
  process.stdout.write(`${name} (seed ${seed})\n\n${outcome.table}\n\n`);
  process.stdout.write(`${outcome.isAsGood ? 'as good or better in every row' : 'WORSE in some row'}; `);
  process.stdout.write(`${((performance.now() - started) / 1_000).toFixed(0)} s\n\n`);
  if (!outcome.isAsGood) process.exitCode = 1;
}
