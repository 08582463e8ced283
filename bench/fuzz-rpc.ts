/**
 * Hostile inputs against a node's RPC port, while honest callers are served. `npm run fuzz:rpc [-- --inputs 100000
 * --seed 1 --target managed|course]`. The node is a process of its own, one of a ring of three, so its memory is its
 * own. Ends with one line of figures; exit code 1 when it crashed, grew, or failed an honest caller.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { courseVictim, managedVictim, type Victim, type VictimUsage } from './fuzz-victims.ts';
import { attack, type HonestRecord, holdOpen } from './hostile-callers.ts';
import { Dice } from './hostile-inputs.ts';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    connections: { type: 'string', default: '1000' },
    target: { type: 'string', default: 'managed' },
    address: { type: 'string', default: '127.22.10.1' },
  },
});
const inputCount = Number(values.inputs);
const seed = Number(values.seed);
const ATTACKERS = 64;
/** One for each caller of `honest-process.ts`. */
const HONEST_CONNECTIONS = 4;
const HONEST_PROGRAM = fileURLToPath(new URL('./honest-process.ts', import.meta.url));
/**
 * What may remain beyond what a tenth of the inputs left: caches and counters, not connections. Of a whole process, whose
 * garbage cannot be collected from outside, much more is noise.
 */
const MAX_GROWTH_BYTES = (values.target === 'course' ? 48 : 8) * 2 ** 20;

const target = { host: values.address, port: 5057 };
const victim: Victim = await (values.target === 'course' ? courseVictim : managedVictim)(values.address);

/** Reproducible input by input: each has a seed of its own. */
async function attackAll(from: number, to: number): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: ATTACKERS }, async () => {
      while (next < to && victim.isRunning()) {
        const dice = new Dice(seed * 1_000_003 + next);
        next += 1;
        await attack(target, dice);
      }
    }),
  );
}

async function settledStrangers(honestConnections: number): Promise<number | undefined> {
  for (let i = 0; i < 100; i++) {
    const count = await victim.strangers();
    if (count === undefined || count <= honestConnections) return count;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return victim.strangers();
}

/** Lookups that nobody waits for any longer hold memory until their own deadline, three seconds on. */
async function quietUsage(): Promise<VictimUsage> {
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  return victim.usage();
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

async function main(): Promise<boolean> {
  const honest = fork(HONEST_PROGRAM, { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  honest.send({ target });
  const startMs = performance.now();
  const warmUp = Math.floor(inputCount / 10);
  await attackAll(0, warmUp);
  await (await holdOpen(target, Number(values.connections)))();
  await settledStrangers(HONEST_CONNECTIONS);
  const before = await quietUsage();

  const letGo = await holdOpen(target, Number(values.connections));
  await attackAll(warmUp, inputCount);
  await letGo();
  honest.send({ stop: true });
  const [record] = (await once(honest, 'message')) as [HonestRecord];
  const left = (await settledStrangers(0)) ?? 0;
  const after = await quietUsage();

  const sorted = record.latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  const growth = after.heldBytes - before.heldBytes;
  const isAlive = victim.isRunning();
  const isGood = isAlive && record.failures.length === 0 && growth < MAX_GROWTH_BYTES && left === 0;
  for (const failure of new Set(record.failures)) process.stdout.write(`honest caller: ${failure}\n`);
  process.stdout.write(
    `fuzz:rpc ${values.target} ${isGood ? 'ok' : 'FAILED'}: ${inputCount} hostile inputs (seed ${seed}) and ${values.connections} connections at once ` +
      `in ${((performance.now() - startMs) / 1_000).toFixed(0)} s, ${isAlive ? 'no crash' : 'CRASHED'}; ` +
      `${sorted.length} honest calls, ${record.failures.length} failed, median ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms; ` +
      `held ${mebibytes(before.heldBytes)} -> ${mebibytes(after.heldBytes)} MiB, ` +
      `rss ${mebibytes(before.rssBytes)} -> ${mebibytes(after.rssBytes)} MiB; ${left} strange connections left\n`,
  );
  return isGood;
}

try {
  if (!(await main())) process.exitCode = 1;
} finally {
  await victim.stop();
}
