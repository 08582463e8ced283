/**
 * The movement campaign: 10,000 small files and 1 GB in a ring of real nodes; one node joins under load, one leaves under
 * load, one is killed half-way through leaving, one is killed for good. What moves is compared with the ideal
 * that placement gives, and clients go on all the while.
 *
 * `npm run campaign:join -- [--small 10000] [--large-mb 1000] [--clients 4] [--seed N]`
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { History } from '../tests/files/history.ts';
import { Fleet } from './fleet/fleet.ts';
import type { FleetProcess } from './fleet/fleet-process.ts';
import { type DataFile, dataSet, fill, idealMove, missingFrom, piecesOf } from './join/data-set.ts';
import { membersSeenBy, movedBy, watchJoin, whenStill } from './join/watch.ts';
import { ClientLoad } from './kills/client-load.ts';
import { copiesOf, whenHealthy } from './kills/health.ts';
import { SeededRandom } from './kills/seeded-random.ts';

const { values } = parseArgs({
  options: {
    small: { type: 'string', default: '10000' },
    'large-mb': { type: 'string', default: '1000' },
    clients: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    network: { type: 'string', default: '127.33.0' },
    keep: { type: 'boolean', default: false },
  },
});
const LARGE_BYTES = 50_000_000;
const SMALL_COUNT = Number(values.small);
const FILES = dataSet({
  smallCount: SMALL_COUNT,
  smallBytes: 2_000,
  largeCount: Math.round((Number(values['large-mb']) * 1e6) / LARGE_BYTES),
  largeBytes: LARGE_BYTES,
});
/** What clients write lies beside the data set and is small, so that it hardly shows in what moves. */
const LOAD_NAMES = Array.from({ length: 200 }, (_, i) => `of clients ${i}.bin`);
const LOAD_SIZES = [{ sizeBytes: 3_000, share: 1 }] as const;
const BASELINE_MS = 15_000;
const MAX_MOVED_OVER_IDEAL = 1.15;
const REPAIR_SAMPLE = 400;

const startedMs = performance.now();
const checks: { readonly what: string; readonly holds: boolean }[] = [];
const say = (line: string): void => {
  process.stdout.write(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(4)} s  ${line}\n`);
};
const check = (what: string, holds: boolean): void => {
  checks.push({ what, holds });
  say(`${holds ? 'holds' : 'FAILS'}: ${what}`);
};
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

class Campaign {
  readonly fleet: Fleet;
  readonly history = new History();
  readonly load: ClientLoad;
  /** Nodes whose requests count. */
  readonly serving = new Set<FleetProcess>();

  constructor(fleet: Fleet) {
    this.fleet = fleet;
    for (const node of fleet.nodes.values()) this.serving.add(node);
    this.load = new ClientLoad({
      ...{ http: fleet.http, history: this.history, random: new SeededRandom(Number(values.seed)) },
      ...{ names: LOAD_NAMES, sizes: LOAD_SIZES, clientCount: Number(values.clients), thinkMs: 10 },
      serving: () => [...this.serving].filter(({ isAnswering }) => isAnswering),
    });
  }

  /** Runs something and tells what clients saw meanwhile. */
  async during<T>(what: string, action: () => Promise<T>): Promise<T> {
    const before = this.load.report();
    const [reads, writes, failures] = [before.readMs.length, before.writeMs.length, failureCount(this.load)];
    const result = await action();
    const { readMs, writeMs } = this.load.report();
    say(
      `clients ${what}: ${describe(readMs.slice(reads))} reads, ${describe(writeMs.slice(writes))} writes, ` +
        `${failureCount(this.load) - failures} failed`,
    );
    return result;
  }

  async join(): Promise<void> {
    const { fleet } = this;
    const [anyone] = fleet.answering();
    if (anyone === undefined) throw new Error('nobody is up');
    const pieces = await piecesOf(fleet, FILES);
    const before = await membersSeenBy(fleet, anyone);
    const movedBefore = await movedBy(fleet);
    const node = await fleet.launch();
    const trace = await watchJoin(fleet, node);
    this.serving.add(node);
    const after = await membersSeenBy(fleet, anyone);
    await whenStill(fleet);
    const moved = await movedBy(fleet);
    const ideal = idealMove(pieces, before, after);
    const seconds = trace.receivingMs / 1_000;
    const middle = trace.shown[trace.shown.length >> 1] ?? '';
    say(`half-way it said: ${middle}`);
    say(
      `join: ${ideal.pieces} pieces and ${mb(ideal.bytes)} in ${seconds.toFixed(1)} s: ` +
        `${(ideal.pieces / seconds).toFixed(0)} pieces/s, ${(ideal.bytes / 1e6 / seconds).toFixed(0)} MB/s, ` +
        `best ${(trace.bestBytesPerSecond / 1e6).toFixed(0)} MB/s over 5 s`,
    );
    const ratio = (moved.bytes - movedBefore.bytes) / ideal.bytes;
    check(
      `moved ${ratio.toFixed(3)} of the ideal (at most ${MAX_MOVED_OVER_IDEAL})`,
      ratio <= MAX_MOVED_OVER_IDEAL,
    );
  }

  async leave(): Promise<void> {
    const { fleet } = this;
    const leaver = fleet.answering().at(-1);
    if (leaver === undefined) throw new Error('nobody is up');
    const movedBefore = await movedBy(fleet);
    const atMs = performance.now();
    await leaver.leave();
    const seconds = (performance.now() - atMs) / 1_000;
    this.serving.delete(leaver);
    fleet.nodes.delete(leaver.spec.instanceId);
    const atExit = await movedBy(fleet);
    const below = await this.belowFullCopies(FILES);
    const afterLook = await movedBy(fleet);
    say(
      `leave: ${seconds.toFixed(1)} s, the others received ${mb(atExit.bytes - movedBefore.bytes)} meanwhile`,
    );
    // Only if nothing was copied between the exit and the look does the look say something about the exit.
    const repairedBytes = afterLook.bytes - atExit.bytes;
    check(`${below.length} files below R copies when the process had ended`, below.length === 0);
    check(`${mb(repairedBytes)} copied after it had ended`, repairedBytes < 1e6);
  }

  async killHalfWay(): Promise<void> {
    const { fleet } = this;
    const leaver = fleet.answering().at(-1);
    if (leaver === undefined) throw new Error('nobody is up');
    const leaving = leaver.leave();
    const receivedBefore = (await movedBy(fleet)).bytes;
    await fleet.until('the drain is under way', 60_000, async () => {
      return !leaver.isRunning || (await movedBy(fleet)).bytes - receivedBefore > 50e6;
    });
    const wasHalfWay = leaver.isRunning;
    this.serving.delete(leaver);
    await leaver.kill();
    await leaving;
    await fleet.forget(leaver);
    check('the leaver was killed before it had left', wasHalfWay);
    const missing = await missingFrom(fleet, FILES);
    check(`${missing.length} files lost by a kill half-way through leaving`, missing.length === 0);
    await whenHealthy(fleet, { nodes: fleet.answering(), names: sample(FILES), timeoutMs: 120_000 });
    await whenStill(fleet);
  }

  async repair(): Promise<void> {
    const { fleet } = this;
    const nodes = fleet.answering();
    const [watcher, victim] = [nodes[0], nodes[1]];
    if (watcher === undefined || victim === undefined) throw new Error('nobody is up');
    const pieces = await piecesOf(fleet, FILES);
    const before = await membersSeenBy(fleet, watcher);
    const survivors = nodes.filter((node) => node !== victim);
    const movedBefore = await movedBy(fleet, survivors);
    const reads = this.load.report().readMs.length;
    const atMs = performance.now();
    this.serving.delete(victim);
    await victim.kill();
    await fleet.until('the death is seen', 30_000, async () => {
      return !(await membersSeenBy(fleet, watcher)).some((m) => m.instanceId === victim.spec.instanceId);
    });
    const detectedMs = performance.now() - atMs;
    await fleet.forget(victim);
    const after = await membersSeenBy(fleet, watcher);
    const ideal = idealMove(pieces, before, after);
    await fleet.until('as much is copied as was lost', 300_000, async () => {
      return (await movedBy(fleet, survivors)).bytes - movedBefore.bytes >= ideal.bytes;
    });
    const copiedMs = performance.now() - atMs;
    const slowest = Math.max(...this.load.report().readMs.slice(reads));
    await whenHealthy(fleet, { nodes: fleet.answering(), names: sample(FILES), timeoutMs: 120_000 });
    const rate = ideal.bytes / 1e6 / ((copiedMs - detectedMs) / 1_000);
    check(`death seen after ${(detectedMs / 1_000).toFixed(1)} s (at most 5)`, detectedMs <= 5_000);
    say(
      `repair: ${mb(ideal.bytes)} again in ${(copiedMs / 1_000).toFixed(1)} s after the kill, ${rate.toFixed(0)} MB/s (goal 40)`,
    );
    say(`slowest read meanwhile: ${slowest.toFixed(0)} ms (goal 2,000)`);
    await whenStill(fleet);
    const ratio = ((await movedBy(fleet, survivors)).bytes - movedBefore.bytes) / ideal.bytes;
    say(`repair moved ${ratio.toFixed(3)} of the ideal`);
  }

  async belowFullCopies(files: readonly DataFile[]): Promise<string[]> {
    const nodes = this.fleet.answering();
    const below: string[] = [];
    const waiting = files.entries();
    const worker = async () => {
      for (const [i, { name }] of waiting) {
        const node = nodes[i % nodes.length];
        const copies = node === undefined ? 0 : await copiesOf(this.fleet, node, name).catch(() => 0);
        if ((copies ?? 0) < Math.min(3, nodes.length)) below.push(name);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    return below;
  }
}

/** Every so many-th file: enough to see that copies are made, without asking about all of them again and again. */
function sample(files: readonly DataFile[]): string[] {
  const step = Math.max(1, Math.floor(files.length / REPAIR_SAMPLE));
  return files.filter((_, i) => i % step === 0 || i >= files.length - 20).map(({ name }) => name);
}

function failureCount(load: ClientLoad): number {
  const failures = Object.values(load.report().write_failures).reduce((sum, count) => sum + count, 0);
  return failures + load.failedReads.length;
}

function describe(ms: readonly number[]): string {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(0);
  return `${ms.length} (median ${at(0.5)} ms, 99 % ${at(0.99)} ms, worst ${at(1)} ms)`;
}

async function main(): Promise<boolean> {
  const fleet = await Fleet.open({ network: values.network });
  try {
    await fleet.grow(4);
    const fillMs = performance.now();
    await fill(fleet, FILES.slice(0, SMALL_COUNT), 12);
    await fill(fleet, FILES.slice(SMALL_COUNT), 2);
    say(`${FILES.length} files, filled in ${((performance.now() - fillMs) / 1_000).toFixed(0)} s`);
    await whenStill(fleet);
    const campaign = new Campaign(fleet);
    campaign.load.start();
    await campaign.during('before', () => pause(BASELINE_MS));
    await campaign.during('during the join', () => campaign.join());
    await campaign.during('during the leave', () => campaign.leave());
    check(
      `${failureCount(campaign.load)} failed requests in join and leave`,
      failureCount(campaign.load) === 0,
    );
    await campaign.join();
    await campaign.during('while the leaver is killed half-way', () => campaign.killHalfWay());
    await campaign.join();
    await campaign.during('while copies are made again', () => campaign.repair());
    await campaign.load.stop();
    const missing = await missingFrom(fleet, FILES);
    check(`${missing.length} of ${FILES.length} files lost or changed at the end`, missing.length === 0);
    const violations = campaign.history.violations();
    check(`${violations.length} reads that no register could have given`, violations.length === 0);
    check(`${campaign.load.failedReads.length} failed reads`, campaign.load.failedReads.length === 0);
    for (const each of [...campaign.load.failedReads, ...violations].slice(0, 10)) say(`  ${each}`);
    for (const [why, count] of Object.entries(campaign.load.report().write_failures))
      say(`  ${count} x ${why}`);
  } finally {
    if (values.keep) say(`disks and logs are in ${fleet.folder}`);
    await fleet.stop({ keep: values.keep });
  }
  const failed = checks.filter(({ holds }) => !holds).length;
  process.stdout.write(`${checks.length - failed} passed, ${failed} failed\n`);
  return failed === 0;
}

process.exitCode = (await main()) ? 0 : 1;
