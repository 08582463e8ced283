/**
 * `npm run campaign:simulation`: many seeds on all cores, one figure at the end. `-- --seeds N --from S`; `-- --seed S`
 * repeats one exactly and prints its trace.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { runScenario, type ScenarioResult } from './scenario.ts';

const SEEDS_PER_BATCH = 25;
const FAILURES_PRINTED = 10;

interface Batch {
  readonly from: number;
  readonly count: number;
}

function runBatch({ from, count }: Batch): readonly ScenarioResult[] {
  return Array.from({ length: count }, (_, i) => runScenario({ seed: from + i }));
}

async function runAll(from: number, count: number): Promise<readonly ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  let next = from;
  let printed = 0;
  const end = from + count;
  await Promise.all(
    Array.from(
      { length: Math.min(availableParallelism(), Math.ceil(count / SEEDS_PER_BATCH)) },
      () =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(new URL('./seed-worker.mjs', import.meta.url), { workerData: 'seeds' });
          const give = () => {
            if (next >= end) {
              void worker.terminate().then(() => resolve());
              return;
            }
            const batch: Batch = { from: next, count: Math.min(SEEDS_PER_BATCH, end - next) };
            next += batch.count;
            worker.postMessage(batch);
          };
          worker.on('message', (batch: readonly ScenarioResult[]) => {
            results.push(...batch);
            for (const { seed, failure } of batch) {
              if (failure !== undefined && printed++ < FAILURES_PRINTED) print(`seed ${seed}: ${failure}`);
            }
            give();
          });
          worker.on('error', reject);
          give();
        }),
    ),
  );
  return results;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seeds: { type: 'string' }, from: { type: 'string' }, seed: { type: 'string' } },
  });
  if (values.seed !== undefined) {
    const result = runScenario({ seed: Number(values.seed), trace: print });
    print(`seed ${result.seed}: ${result.failure ?? 'everything held'}`);
    process.exitCode = result.failure === undefined ? 0 : 1;
    return;
  }
  const started = performance.now();
  const results = await runAll(Number(values.from ?? 1), Number(values.seeds ?? 10_000));
  const failed = results.filter(({ failure }) => failure !== undefined);
  const heals = results.map(({ healMs }) => healMs).sort((a, b) => a - b);
  const events = results.reduce((sum, result) => sum + result.events, 0);
  const hours = results.reduce((sum, result) => sum + result.virtualMs, 0) / 3_600_000;
  for (const { seed } of failed.slice(0, FAILURES_PRINTED))
    print(`repeat: npm run campaign:simulation -- --seed ${seed}`);
  print(
    `${results.length} seeds, ${events} events, ${hours.toFixed(1)} h of ring time in ${((performance.now() - started) / 1_000).toFixed(0)} s; ` +
      `ideal again after ${(heals[Math.floor(heals.length / 2)] ?? 0).toFixed(0)} ms (median), ${(heals.at(-1) ?? 0).toFixed(0)} ms (worst)`,
  );
  print(`${results.length - failed.length} passed, ${failed.length} failed`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

if (isMainThread) await main();
else if (workerData === 'seeds')
  parentPort?.on('message', (batch: Batch) => parentPort?.postMessage(runBatch(batch)));
