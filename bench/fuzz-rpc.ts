/**
 * Hostile inputs against a member's RPC port, while honest callers are served. `npm run fuzz:rpc [-- --inputs 100000
 * --seed 1]`. The member is a process of its own, so its memory is its own. Ends with one line of figures; exit code 1
 * when it crashed, grew, threw, or failed an honest caller.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MemoryRegistry } from '../node/ring/memory-registry.ts';
import { attack, type HonestRecord, holdOpen } from './hostile-callers.ts';
import { Dice } from './hostile-inputs.ts';
import { MemberProcess } from './member-process.ts';
import type { ProcessUsage } from './ring-member.ts';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    connections: { type: 'string', default: '1000' },
    address: { type: 'string', default: '127.22.10.1' },
  },
});
const inputCount = Number(values.inputs);
const seed = Number(values.seed);
const ATTACKERS = 64;
/** One for each caller of `honest-process.ts`. */
const HONEST_CONNECTIONS = 4;
const HONEST_PROGRAM = fileURLToPath(new URL('./honest-process.ts', import.meta.url));
/** Heap that may remain beyond what a tenth of the inputs left: caches and counters, not connections. */
const MAX_GROWTH_BYTES = 8 * 2 ** 20;

const target = { host: values.address, port: 5057 };
const registry = new MemoryRegistry();
const member = await MemberProcess.start({
  n: 1,
  address: values.address,
  registry,
  clusterKeyHex: randomBytes(32).toString('hex'),
});

function usage(): Promise<ProcessUsage> {
  return member.order<ProcessUsage>({ kind: 'usage' });
}

/** Reproducible input by input: each has a seed of its own. */
async function attackAll(from: number, to: number): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: ATTACKERS }, async () => {
      while (next < to && member.isRunning) {
        const dice = new Dice(seed * 1_000_003 + next);
        next += 1;
        await attack(target, dice);
      }
    }),
  );
}

async function settledConnections(honestConnections: number): Promise<number> {
  for (let i = 0; i < 100; i++) {
    const { counters } = await member.state();
    if (counters.server.connectionsOpen <= honestConnections) return counters.server.connectionsOpen;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return (await member.state()).counters.server.connectionsOpen;
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

async function main(): Promise<boolean> {
  await member.order({ kind: 'begin', entry: { role: 'create' } });
  const honest = fork(HONEST_PROGRAM, { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  honest.send({ target });
  const startMs = performance.now();
  const warmUp = Math.floor(inputCount / 10);
  await attackAll(0, warmUp);
  await (await holdOpen(target, Number(values.connections)))();
  await settledConnections(HONEST_CONNECTIONS);
  const before = await usage();

  const letGo = await holdOpen(target, Number(values.connections));
  await attackAll(warmUp, inputCount);
  await letGo();
  honest.send({ stop: true });
  const [record] = (await once(honest, 'message')) as [HonestRecord];
  const left = await settledConnections(0);
  const after = await usage();

  const { counters } = await member.state();
  const sorted = record.latenciesMs.sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? Number.NaN;
  const p99 = sorted[Math.floor(0.99 * sorted.length)] ?? Number.NaN;
  const growth = after.heapUsed + after.external - before.heapUsed - before.external;
  const isGood = member.isRunning && record.failures.length === 0 && growth < MAX_GROWTH_BYTES && left === 0;
  for (const failure of new Set(record.failures)) process.stdout.write(`honest caller: ${failure}\n`);
  process.stdout.write(
    `fuzz:rpc ${isGood ? 'ok' : 'FAILED'}: ${inputCount} hostile inputs (seed ${seed}) and ${values.connections} connections at once ` +
      `in ${((performance.now() - startMs) / 1_000).toFixed(0)} s, ${member.isRunning ? 'no crash' : 'CRASHED'}; ` +
      `${sorted.length} honest calls, ${record.failures.length} failed, median ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ` +
      `heap ${mebibytes(before.heapUsed + before.external)} -> ${mebibytes(after.heapUsed + after.external)} MiB, ` +
      `rss ${mebibytes(before.rss)} -> ${mebibytes(after.rss)} MiB; ${counters.server.connectionsAccepted} connections, ${left} left; the member used ${((after.cpuMs - before.cpuMs) / 1_000).toFixed(0)} s of CPU\n`,
  );
  return isGood;
}

try {
  if (!(await main())) process.exitCode = 1;
} finally {
  await member.stop();
}
