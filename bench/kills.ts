/**
 * The kills campaign: five real node processes under a steady load of uploads, replaces, deletes and downloads
 * through random nodes, while nodes are killed (one, two at once), frozen, join and leave at random moments. A checker
 * over the recorded history says whether anything acknowledged was lost, any byte was wrong, or a read went back in time.
 *
 * `npm run campaign:kills -- [--minutes 10] [--seed N] [--clients 6] [--keep]`
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { History } from '../tests/files/history.ts';
import { Fleet } from './fleet/fleet.ts';
import { ClientLoad, MIXED_SIZES } from './kills/client-load.ts';
import { Nemesis } from './kills/nemesis.ts';
import { SeededRandom } from './kills/seeded-random.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
    clients: { type: 'string', default: '6' },
    network: { type: 'string', default: '127.31.0' },
    keep: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const NAMES = Array.from({ length: 150 }, (_, i) => `file ${i}.bin`);
/**
 * Short, so that collection runs into moves, reads and restarts, which ten minutes of grace would keep from it. But a
 * tombstone must outlast the longest absence of a disk, as the day of a deployed node does: a pause of seconds and
 * two starts of at most a minute and a half each.
 */
const TUNING = {
  garbageLimits: { chunkGraceMs: 15_000, tombstoneMinAgeMs: 200_000 },
  timings: { garbageIntervalMs: 4_000 },
};

const startedMs = performance.now();
const say = (line: string): void => {
  const at = ((performance.now() - startedMs) / 1_000).toFixed(0).padStart(4);
  process.stdout.write(`${at} s  ${line}\n`);
};

function percentiles(ms: readonly number[]): string {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return `median ${at(0.5)} ms, 99 % ${at(0.99)} ms, worst ${at(1)} ms`;
}

/** Errors that nodes logged as bugs, or died of. */
function bugsIn(logs: ReadonlySet<string>): string[] {
  return [...logs].flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => /"level":"error"/.test(line) || /^\w*Error: /.test(line)),
  );
}

async function lookAtEverything(load: ClientLoad, nemesis: Nemesis): Promise<void> {
  for (const node of nemesis.serving()) for (const name of NAMES) await load.readThrough(node, name);
}

async function main(): Promise<boolean> {
  say(`seed ${seed}, ${values.minutes} minutes, ${NAMES.length} names`);
  const history = new History();
  const logs = new Set<string>();
  const fleet = await Fleet.open({ network: values.network, tuning: TUNING });
  const problems: string[] = [];
  try {
    await fleet.grow(5);
    const nemesis = new Nemesis({ fleet, random: new SeededRandom(seed), names: NAMES, log: say });
    const load = new ClientLoad({
      ...{
        http: fleet.http,
        history,
        random: new SeededRandom(seed + 1),
        names: NAMES,
        serving: nemesis.serving,
        sizes: MIXED_SIZES,
      },
      ...{ clientCount: Number(values.clients), thinkMs: 20 },
    });
    load.start();
    const untilMs = performance.now() + Number(values.minutes) * 60_000;
    while (performance.now() < untilMs && problems.length === 0) {
      await nemesis.strike().catch((error: unknown) => problems.push(String(error)));
      for (const { logPath } of fleet.nodes.values()) logs.add(logPath);
    }
    await load.stop();
    await lookAtEverything(load, nemesis);
    return judge({ history, load, nemesis, problems, bugs: bugsIn(logs) });
  } finally {
    if (values.keep) say(`disks and logs are in ${fleet.folder}`);
    await fleet.stop({ keep: values.keep });
  }
}

function judge(run: {
  readonly history: History;
  readonly load: ClientLoad;
  readonly nemesis: Nemesis;
  readonly problems: readonly string[];
  readonly bugs: readonly string[];
}): boolean {
  const { history, load, nemesis, problems, bugs } = run;
  const { reads, writes, deletes, asked_again, write_failures, readMs, writeMs } = load.report();
  const unfinished = history.events.filter(
    ({ kind, outcome }) => kind !== 'read' && outcome === 'unknown',
  ).length;
  say(`faults: ${JSON.stringify(nemesis.counts)}`);
  say(`all copies again after a fault: ${percentiles(nemesis.healMs)}`);
  say(
    `${history.events.length} events: ${reads} reads (${percentiles(readMs)}; ${asked_again} asked again elsewhere)`,
  );
  say(
    `  ${writes} uploads and ${deletes} deletes (${percentiles(writeMs)}), ${unfinished} not acknowledged:`,
  );
  for (const [reason, count] of Object.entries(write_failures)) say(`    ${count} x ${reason}`);
  const violations = history.violations();
  const checks = [
    { what: 'reads that no register could have given', found: violations },
    { what: 'failed reads that a live copy could have served', found: load.failedReads },
    { what: 'faults that did not heal', found: problems },
    { what: 'errors in the logs of nodes', found: bugs },
  ];
  for (const { what, found } of checks) {
    say(`${found.length} ${what}`);
    for (const each of found.slice(0, 20)) say(`    ${each}`);
  }
  const failed = checks.filter(({ found }) => found.length > 0).length;
  process.stdout.write(`${checks.length - failed} passed, ${failed} failed\n`);
  return failed === 0;
}

process.exitCode = (await main()) ? 0 : 1;
