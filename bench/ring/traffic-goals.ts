/** What the ring says to itself: while nothing happens, while keys are looked up, and while members come and go. */
import { identifier } from '../../domain/identifier.ts';
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { placeIdealRing } from '../../tests/simulation/ideal-ring.ts';
import { Simulation } from '../../tests/simulation/simulation.ts';
import { WIRE_SIZES } from '../message-sizes.ts';
import { WITH_TABLE } from '../paper/churn.ts';
import { runChurn } from '../paper/churning-ring.ts';
import type { GoalRow } from './goal-row.ts';

const SETTLE_MS = 60_000;
const MEASURED_MS = 120_000;

interface Traffic {
  /** Of the whole ring; lookups left out. */
  readonly callsPerSecond: number;
  readonly bytesPerNodeSecond: number;
}

export function maintenance(options: {
  readonly memberCount: number;
  readonly seed: number;
  readonly config: ChordConfig;
  readonly lookupsPerSecond: number;
}): Traffic {
  const { memberCount, seed, config, lookupsPerSecond } = options;
  const simulation = new Simulation({ seed, config });
  const ids = Array.from({ length: memberCount }, () => simulation.randomId());
  const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
  const lookAround = (): void => {
    simulation.queue.after(simulation.dice.exponential(1_000 / lookupsPerSecond), () => {
      const node = simulation.dice.pick(nodes);
      if (node !== undefined) simulation.lookup(node, identifier(simulation.dice.integer(0, 2 ** 32)));
      lookAround();
    });
  };
  if (lookupsPerSecond > 0) lookAround();
  simulation.runUntil(SETTLE_MS);
  simulation.sizes = WIRE_SIZES;
  const lookupCalls = () => simulation.callsByKind.get('lookup') ?? 0;
  const before = { calls: simulation.counts.calls - lookupCalls(), bytes: simulation.counts.bytes };
  simulation.runUntil(SETTLE_MS + MEASURED_MS);
  const calls = simulation.counts.calls - lookupCalls() - before.calls;
  return {
    callsPerSecond: calls / (MEASURED_MS / 1_000),
    bytesPerNodeSecond: (simulation.counts.bytes - before.bytes) / memberCount / (MEASURED_MS / 1_000),
  };
}

/** Enough that every member is asked for its arc every second or two: none of them rests. */
const BUSY_LOOKUPS_PER_SECOND = 40;

export function idleGoals({ seed }: { readonly seed: number }): readonly GoalRow[] {
  const busy = (periodMs: number) =>
    maintenance({
      memberCount: 16,
      seed,
      config: { ...DEFAULT_CONFIG, stabilizePeriodMs: periodMs, leaseMs: 2 * periodMs },
      lookupsPerSecond: BUSY_LOOKUPS_PER_SECOND,
    });
  const [quick, slow] = [busy(1_000), busy(2_000)];
  const inUse = (name: string, { callsPerSecond }: Traffic, most: number): GoalRow => ({
    metric: `maintenance RPC/s of 16 nodes, ${name}, all arcs in use (lookups themselves left out)`,
    toBeat: '64 allowed; 47 textbook',
    goal: `<= ${most}`,
    ours: callsPerSecond.toFixed(1),
    isMet: callsPerSecond <= most,
  });
  return [
    inUse('T = 1 s', quick, 16),
    inUse('T = 2 s', slow, 8),
    ...[16, 100, 1_000].map((n) => idle(n, seed)),
  ];
}

function idle(memberCount: number, seed: number): GoalRow {
  const run = maintenance({ memberCount, seed, config: DEFAULT_CONFIG, lookupsPerSecond: 0 });
  const perNode = run.callsPerSecond / memberCount;
  return {
    metric: `idle, N = ${memberCount}: RPC/s of the ring; per node RPC/s and bytes/s`,
    toBeat:
      memberCount === 16
        ? '64 allowed; 47 textbook'
        : `${memberCount === 100 ? '~3' : '4.4'} per node textbook`,
    goal: memberCount === 16 ? '<= 4' : '<= 0.25 per node',
    ours: `${run.callsPerSecond.toFixed(1)}; ${perNode.toFixed(3)}, ${run.bytesPerNodeSecond.toFixed(0)}`,
    isMet: perNode <= 0.25,
  };
}

/** As in `bench:paper`: more than the paper's one, so that ten thousand end within a minute of ring time. */
const CHURN_LOOKUPS_PER_SECOND = 200;
/** Few enough that the bytes are those of maintenance. */
const DAILY_LOOKUPS_PER_SECOND = 20;
const DAILY_LOOKUPS = 2_000;

/** Joins, and as many leaves, per second: a thousand members that stay for two hours each. */
const TWO_HOURS_RATE = 1_000 / 7_200;

export function churnGoals(options: {
  readonly seed: number;
  readonly lookupCount: number;
}): readonly GoalRow[] {
  const ring = { ...options, memberCount: 1_000, config: WITH_TABLE, meanDelayMs: 50 };
  const lookups = (rate: number, toBeat: string, most: number): GoalRow => {
    const run = { ...ring, changesPerSecond: rate, lookupsPerSecond: CHURN_LOOKUPS_PER_SECOND };
    const { failed, timeouts, lookups: count } = runChurn(run);
    return {
      metric: `churn R = ${rate}/s, N = 1,000: failures of ${count} lookups / timeouts`,
      toBeat,
      goal: `0 / <= ${most}`,
      ours: `${failed} / ${timeouts.mean.toFixed(4)}`,
      isMet: failed === 0 && timeouts.mean <= most,
    };
  };
  const daily = runChurn({
    ...ring,
    changesPerSecond: TWO_HOURS_RATE,
    lookupsPerSecond: DAILY_LOOKUPS_PER_SECOND,
    lookupCount: DAILY_LOOKUPS,
  });
  return [
    lookups(0.4, '15 of 10,000 / 0.46', 0.01),
    lookups(0.05, '0 of 10,000 / 0.05', 0.002),
    {
      metric: 'maintenance at N = 1,000 and lifetimes of 2 h, bytes/s per node (lookups included)',
      toBeat: '900 (1.4 min sessions)',
      goal: '<= 500',
      ours: `${daily.bytesPerNodeSecond.toFixed(0)} (${daily.callsPerNodeSecond.toFixed(2)} RPC/s)`,
      isMet: daily.bytesPerNodeSecond <= 500,
    },
  ];
}
