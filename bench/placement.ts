import { parseArgs } from 'node:util';
import type { SizeDistribution } from './growth/file-sizes.ts';
import type { PlacementPolicy } from './growth/growing-ring.ts';
import { type GrowthResult, meanUtilisation, runGrowth, unrelieved } from './growth/run-growth.ts';

/**
 * A ring that fills until the alarm has added 20 nodes: the product's decisions and places beside the same files with
 * one node at a hashed position for each alarm. Deterministic by seed.
 */
const GIB = 2 ** 30;
const GOALS = { utilisation: 0.6, maxToMean: 1.3 };

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10' },
    nodes: { type: 'string', default: '20' },
    threshold: { type: 'string', default: '80' },
    /** Prints every decision of one run. */
    seed: { type: 'string' },
  },
});
const added = Number(values.nodes);
const thresholdPercent = Number(values.threshold);

function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

function run(seed: number, policy: PlacementPolicy, sizes: SizeDistribution): GrowthResult {
  const options = { seed, policy, sizes, capacityBytes: GIB, thresholdPercent, maxSize: 200 };
  return runGrowth(options, added);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

function explain(seed: number): void {
  const { steps, maxToMean } = run(seed, 'bytes', 'pareto');
  for (const { members, added: more, utilisation, fullestBefore, fullestAfter, why } of steps) {
    const before = `${members} + ${more}`.padStart(8);
    const fullest = `${percent(fullestBefore)} -> ${percent(fullestAfter)}`;
    print(`${before}  utilisation ${utilisation.toFixed(2)}  fullest ${fullest}  ${why}`);
  }
  print(`max/mean at the end ${maxToMean.toFixed(2)}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** One row of the table; returns what missed its goal. */
function row(policy: PlacementPolicy, sizes: SizeDistribution): string[] {
  const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => index + 1);
  const results = seeds.map((seed) => run(seed, policy, sizes));
  const utilisation = mean(results.map(({ steps }) => meanUtilisation(steps)));
  // Below five members everybody stores almost everything, however it is placed.
  const later = mean(
    results.map(({ steps }) => meanUtilisation(steps.filter(({ members }) => members >= 5))),
  );
  const maxToMean = results.map((result) => result.maxToMean);
  const stuck = results.reduce((sum, { steps }) => sum + unrelieved(steps).length, 0);
  const bytes = mean(results.map(({ primaryBytes }) => primaryBytes)) / GIB;
  print(
    [
      `${policy === 'bytes' ? 'chordfs' : 'hashed'}, ${sizes}`.padEnd(20),
      utilisation.toFixed(3).padStart(12),
      later.toFixed(3).padStart(14),
      `${mean(maxToMean).toFixed(2)} (${Math.max(...maxToMean).toFixed(2)})`.padStart(18),
      String(stuck).padStart(14),
      bytes.toFixed(2).padStart(12),
    ].join(''),
  );
  if (policy === 'hash') return [];
  return [
    ...(utilisation < GOALS.utilisation || later < GOALS.utilisation ? [`${sizes}: utilisation`] : []),
    ...(mean(maxToMean) > GOALS.maxToMean ? [`${sizes}: max/mean`] : []),
    ...(stuck > 0 ? [`${sizes}: fullest not relieved`] : []),
  ];
}

if (values.seed !== undefined) {
  explain(Number(values.seed));
} else {
  print(
    `${added} nodes added by alarm at ${thresholdPercent} %, ${values.seeds} seeds, volumes of 1 GiB, 3 copies`,
  );
  print(
    `${''.padEnd(20)}${'utilisation'.padStart(12)}${'from 5 nodes'.padStart(14)}${'max/mean (worst)'.padStart(18)}${'not relieved'.padStart(14)}${'GiB stored'.padStart(12)}`,
  );
  const missed = (['equal', 'pareto'] as const).flatMap((sizes) => [
    ...row('bytes', sizes),
    ...row('hash', sizes),
  ]);
  print();
  for (const what of missed) print(`missed: ${what}`);
  print(`${6 - missed.length} passed, ${missed.length} failed`);
  process.exitCode = missed.length === 0 ? 0 : 1;
}
