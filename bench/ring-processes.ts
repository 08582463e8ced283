/**
 * The ring as real processes: time from a crash, a freeze, a cut or twenty joins at once to all lookups right, and what
 * it costs while nothing happens. `npm run bench:ring-processes [-- --members 16 --rounds 5 --only killed,frozen]`.
 *
 * All members share this machine, so CPU time is part of every figure. "All right" is the moment when
 * every reachable member has answered a lookup of every key with the owner that an omniscient observer would name, and
 * from which all go on doing so.
 */
import { randomBytes } from 'node:crypto';
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MemoryRegistry } from '../node/ring/memory-registry.ts';
import { MemberProcess } from './member-process.ts';
import type { ProcessUsage } from './ring-member.ts';

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '5' },
    cut: { type: 'string', default: '20' },
    idle: { type: 'string', default: '30' },
    network: { type: 'string', default: '127.22.8' },
    only: { type: 'string', default: '' },
  },
});
const memberCount = Number(values.members);
const rounds = Number(values.rounds);
const only = values.only === '' ? undefined : values.only.split(',');

const KEYS = Array.from({ length: 16 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0);
/** Long, so that a process that waits for its turn on a busy machine does not count as a wrong answer. */
const LOOKUP_TIMEOUT_MS = 2_000;
const GIVE_UP_MS = 120_000;
/** So long all answers must stay right. */
const STEADY_MS = 1_500;

const registry = new MemoryRegistry();
const clusterKeyHex = randomBytes(32).toString('hex');
let nextN = 1;
const members: MemberProcess[] = [];

async function start(count: number): Promise<MemberProcess[]> {
  const numbers = Array.from({ length: count }, () => nextN++);
  return Promise.all(
    numbers.map((n) =>
      MemberProcess.start({ n, address: `${values.network}.${n}`, registry, clusterKeyHex }),
    ),
  );
}

async function join(member: MemberProcess, contact: MemberProcess): Promise<void> {
  registry.put(member.self, 'joining');
  await member.order({ kind: 'begin', entry: { role: 'join', contacts: [contact.self] } });
  await member.order({ kind: 'enter', phase: 'active' });
  registry.put(member.self, 'active');
}

/** Lookups with the wrong answer, asked of `asked`, when exactly `alive` are in the ring. */
async function wrongCount(asked: readonly MemberProcess[], alive: readonly MemberProcess[]): Promise<number> {
  const clockwise = [...alive].sort((a, b) => a.self.id - b.self.id);
  const expected = KEYS.map(
    (key) => (clockwise.find(({ self }) => self.id >= key) ?? clockwise[0])?.self.instanceId,
  );
  const answers = await Promise.all(
    asked.map((member) =>
      member.order<string[]>({ kind: 'lookups', keys: KEYS, timeoutMs: LOOKUP_TIMEOUT_MS }),
    ),
  );
  return answers.flatMap((owners) => owners.filter((owner, i) => owner !== expected[i])).length;
}

/** Ms from `fromMs` until every lookup is right and stays so. */
async function untilRight(alive: readonly MemberProcess[], fromMs: number): Promise<number> {
  let rightSinceMs: number | undefined;
  while (performance.now() - fromMs < GIVE_UP_MS) {
    const wrong = await wrongCount(alive, alive);
    if (wrong > 0) rightSinceMs = undefined;
    else rightSinceMs ??= performance.now();
    if (rightSinceMs !== undefined && performance.now() - rightSinceMs > STEADY_MS) {
      return Math.max(0, rightSinceMs - fromMs);
    }
    await pause(50);
  }
  return Number.POSITIVE_INFINITY;
}

function report(name: string, timesMs: readonly number[], goal: string): void {
  const sorted = [...timesMs].sort((a, b) => a - b);
  const at = (share: number): string =>
    `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN)} ms`;
  process.stdout.write(
    `${name.padEnd(44)} n=${sorted.length} median ${at(0.5)}, worst ${at(1)}; goal ${goal}\n`,
  );
}

async function replace(): Promise<void> {
  const [fresh] = await start(1);
  const [contact] = members;
  if (fresh === undefined || contact === undefined) throw new Error('nobody left');
  await join(fresh, contact);
  members.push(fresh);
  await untilRight(members, performance.now());
}

async function killed({ count, times: repeats, goal }: Killing): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    // Several at once: neighbours, the worst case.
    const clockwise = [...members].sort((a, b) => a.self.id - b.self.id);
    const victims = Array.from({ length: count }, (_, k) => clockwise[(i + k) % clockwise.length]).flatMap(
      (victim) => victim ?? [],
    );
    for (const victim of victims) members.splice(members.indexOf(victim), 1);
    const atMs = performance.now();
    for (const victim of victims) victim.kill('SIGKILL');
    times.push(await untilRight(members, atMs));
    for (const _ of victims) await replace();
  }
  report(`${count} of ${memberCount} killed, to all lookups right`, times, goal);
}

interface Killing {
  readonly count: number;
  readonly times: number;
  readonly goal: string;
}

async function frozen(): Promise<void> {
  const times: number[] = [];
  const wakes: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const victim = members[i % members.length];
    if (victim === undefined) continue;
    const others = members.filter((member) => member !== victim);
    const atMs = performance.now();
    victim.kill('SIGSTOP');
    times.push(await untilRight(others, atMs));
    const wokenMs = performance.now();
    victim.kill('SIGCONT');
    wakes.push(await untilRight(members, wokenMs));
  }
  report(`1 of ${memberCount} frozen, to all lookups right`, times, '3 s');
  report('the frozen one wakes, to all lookups right again', wakes, '-');
}

async function partition(): Promise<void> {
  const half = members.length >> 1;
  const [left, right] = [members.slice(0, half), members.slice(half)];
  const cut = async (isCut: boolean): Promise<void> => {
    const addressesOf = (side: readonly MemberProcess[]): string[] =>
      isCut ? side.map(({ self }) => self.privateIp) : [];
    await Promise.all([
      ...left.map((member) => member.order({ kind: 'cutOff', from: addressesOf(right) })),
      ...right.map((member) => member.order({ kind: 'cutOff', from: addressesOf(left) })),
    ]);
  };
  await cut(true);
  const owners: number[] = [];
  for (let s = 0; s < Number(values.cut); s++) {
    await pause(1_000);
    const claims = await Promise.all(members.map((m) => m.order<boolean[]>({ kind: 'owns', keys: KEYS })));
    owners.push(Math.max(...KEYS.map((_, i) => claims.filter((claim) => claim[i] === true).length)));
  }
  await cut(false);
  const times = [await untilRight(members, performance.now())];
  report(`cut in halves for ${values.cut} s, healed, to all right`, times, '40 s');
  process.stdout.write(
    `  members that claimed the same key at once during the cut: at most ${Math.max(...owners)}\n`,
  );
}

async function twentyAtOnce(): Promise<void> {
  const fresh = await start(20);
  const [contact] = members;
  if (contact === undefined) throw new Error('nobody left');
  const atMs = performance.now();
  await Promise.all(fresh.map((member) => join(member, contact)));
  const joinedMs = performance.now() - atMs;
  members.push(...fresh);
  const times = [await untilRight(members, atMs)];
  report('20 join at once, to all lookups right', times, '10 s');
  process.stdout.write(`  all 20 active after ${Math.round(joinedMs)} ms\n`);
  for (const member of members.splice(-20)) {
    await member.order({ kind: 'enter', phase: 'draining' });
    await member.order({ kind: 'enter', phase: 'left' });
    registry.remove(member.self.instanceId);
    await member.stop();
  }
  await untilRight(members, performance.now());
}

async function idle(): Promise<void> {
  // Long enough for the period to have grown to its idle length.
  await pause(15_000);
  const before = await Promise.all(members.map((member) => member.state()));
  const fromMs = performance.now();
  await pause(Number(values.idle) * 1_000);
  const after = await Promise.all(members.map((member) => member.state()));
  const seconds = (performance.now() - fromMs) / 1_000;
  const rate = (pick: (state: (typeof after)[number]) => number): string => {
    const delta =
      after.reduce((sum, state) => sum + pick(state), 0) - before.reduce((sum, s) => sum + pick(s), 0);
    return (delta / seconds / members.length).toFixed(2);
  };
  const open = after.map(({ counters }) => counters.pool.connectionsOpen);
  process.stdout.write(
    `idle, per node of ${members.length}: ${rate((s) => s.counters.pool.calls)} RPC/s (goal 0.25), ` +
      `${rate((s) => s.counters.pool.bytesSent + s.counters.server.bytesSent)} B/s sent, ` +
      `${rate((s) => s.counters.pool.connectionsOpened)} new connections/s (goal 0), ` +
      `${Math.min(...open)}-${Math.max(...open)} connections open\n`,
  );
  const memory = await Promise.all(members.map((m) => m.order<ProcessUsage>({ kind: 'usage' })));
  const rss = Math.max(...memory.map((usage) => usage.rss)) / 2 ** 20;
  process.stdout.write(`  memory of the largest process: ${rss.toFixed(0)} MiB (with tsx, without files)\n`);
}

const EXPERIMENTS: Readonly<Record<string, () => Promise<void>>> = {
  killed: () => killed({ count: 1, times: rounds, goal: '1 s' }),
  killedTwo: () => killed({ count: 2, times: rounds, goal: '2 s' }),
  /** As many in a row as a successor list has entries, or as leave two. */
  killedRow: () => killed({ count: Math.min(8, memberCount - 2), times: 1, goal: '5 s' }),
  frozen,
  twentyAtOnce,
  partition,
  idle,
};

async function main(): Promise<void> {
  process.stdout.write(
    `${cpus().length} cores ${cpus()[0]?.model ?? ''}, node ${process.version}, load ${loadavg()[0]?.toFixed(1)}\n`,
  );
  members.push(...(await start(memberCount)));
  const [first, ...others] = members;
  if (first === undefined) throw new Error('no members');
  registry.put(first.self, 'active');
  const atMs = performance.now();
  await first.order({ kind: 'begin', entry: { role: 'create' } });
  for (const member of others) await join(member, first);
  report(`${memberCount} join one after another, to all right`, [await untilRight(members, atMs)], '-');
  for (const [name, run] of Object.entries(EXPERIMENTS)) {
    if (only === undefined || only.includes(name)) await run();
  }
}

try {
  await main();
} finally {
  await Promise.all(members.map((member) => member.stop()));
}
