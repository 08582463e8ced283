/** From the moment that something breaks, or comes, to all lookups right: over the virtual network, in virtual time. */
import { type Identifier, identifier } from '../../domain/identifier.ts';
import { placeIdealRing } from '../../tests/simulation/ideal-ring.ts';
import { checkInvariants } from '../../tests/simulation/invariants.ts';
import { flaw } from '../../tests/simulation/oracle.ts';
import type { SimulatedNode } from '../../tests/simulation/simulated-node.ts';
import { Simulation } from '../../tests/simulation/simulation.ts';
import { untilAllRight } from '../../tests/simulation/until-right.ts';
import { distributionOf } from '../distribution.ts';
import type { GoalRow } from './goal-row.ts';

const RUNS = 10;
const LIMIT_MS = 120_000;

interface Ring {
  readonly simulation: Simulation;
  readonly nodes: readonly SimulatedNode[];
}

/** Every step of every run is checked against the invariants: a violation ends the bench. */
function ringOf(memberCount: number, seed: number): Ring {
  const simulation = new Simulation({ seed, clockSkew: 0.002, observe: checkInvariants });
  const ids = Array.from({ length: memberCount }, () => simulation.randomId());
  const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
  simulation.runUntil(10_000 + 997 * simulation.dice.next());
  return { simulation, nodes };
}

const KEYS: readonly Identifier[] = Array.from({ length: 32 }, (_, i) =>
  identifier(Math.imul(i + 1, 0x9e3779b1)),
);

function measure(seed: number, memberCount: number, act: (ring: Ring) => number): readonly number[] {
  return Array.from({ length: RUNS }, (_, i) => act(ringOf(memberCount, seed * 1_000 + i)));
}

function row(metric: string, toBeat: string, goalMs: number, timesMs: readonly number[]): GoalRow {
  const { median, p99 } = distributionOf(timesMs);
  return {
    metric: `${metric} (${timesMs.length} runs, median / p99)`,
    toBeat,
    goal: `p99 <= ${goalMs / 1_000} s`,
    ours: `${(median / 1_000).toFixed(2)} / ${(p99 / 1_000).toFixed(2)} s`,
    isMet: p99 <= goalMs,
  };
}

const right = ({ simulation }: Ring): number => untilAllRight(simulation, { keys: KEYS, limitMs: LIMIT_MS });

function killed(count: number) {
  return (ring: Ring): number => {
    const first = ring.simulation.dice.integer(0, ring.nodes.length);
    for (let i = 0; i < count; i++) {
      const node = ring.nodes[(first + i) % ring.nodes.length];
      if (node !== undefined) ring.simulation.crash(node);
    }
    return right(ring);
  };
}

function frozen(ring: Ring): number {
  const node = ring.simulation.dice.pick(ring.nodes);
  if (node !== undefined) ring.simulation.freeze(node);
  return right(ring);
}

function woken(ring: Ring): number {
  const node = ring.simulation.dice.pick(ring.nodes);
  if (node === undefined) return Number.NaN;
  ring.simulation.freeze(node);
  right(ring);
  ring.simulation.thaw(node);
  return untilIdeal(ring);
}

function untilIdeal({ simulation }: Ring): number {
  const fromMs = simulation.nowMs;
  const isIdeal = simulation.runUntilTrue(() => flaw(simulation) === undefined, LIMIT_MS, 50);
  return isIdeal ? simulation.nowMs - fromMs : Number.POSITIVE_INFINITY;
}

const CUT_MS = 60_000;

function healed(ring: Ring): number {
  const { simulation, nodes } = ring;
  const near = nodes.filter((_, i) => i % 2 === 0);
  for (const a of near) {
    for (const b of nodes.filter((node) => !near.includes(node))) {
      simulation.network.cut(a.member.instanceId, b.member.instanceId);
      simulation.network.cut(b.member.instanceId, a.member.instanceId);
    }
  }
  simulation.runUntil(simulation.nowMs + CUT_MS);
  simulation.network.mendAll();
  const idealMs = untilIdeal(ring);
  return idealMs + right(ring);
}

function joining(count: number) {
  return (ring: Ring): number => {
    const { simulation } = ring;
    const fromMs = simulation.nowMs;
    const fresh = Array.from({ length: count }, () => simulation.addNode(simulation.randomId()));
    for (const node of fresh) simulation.join(node);
    simulation.runUntilTrue(() => fresh.every(({ isServing }) => isServing), LIMIT_MS, 50);
    right(ring);
    return simulation.nowMs - fromMs;
  };
}

/** Survivors that ask. */
const ASKERS = 50;

/** Every survivor hears of every death, so the events to simulate grow with the square: of 1,000 it takes an hour. */
const HALVED = 300;

/** Half of the members die at once, and the survivors repair the ring while they are asked. */
function halfDies(seed: number): GoalRow {
  const simulation = new Simulation({ seed });
  const ids = Array.from({ length: HALVED }, () => simulation.randomId());
  const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
  simulation.runUntil(10_000);
  for (const node of nodes) if (simulation.dice.chance(0.5)) simulation.crash(node);
  const askers = nodes.filter(({ isUp }) => isUp).slice(0, ASKERS);
  const keys = Array.from({ length: 100 }, () => simulation.randomId());
  const ms = untilAllRight(simulation, { keys, askers, limitMs: LIMIT_MS });
  return {
    metric: `50 % of ${HALVED} die at once, with repair: to ${ASKERS * keys.length} lookups of 100 keys all right`,
    toBeat: '-',
    goal: 'all',
    ours: `${(ms / 1_000).toFixed(2)} s`,
    isMet: Number.isFinite(ms),
  };
}

export function repairGoals({ seed }: { readonly seed: number }): readonly GoalRow[] {
  const of = (memberCount: number, act: (ring: Ring) => number) => measure(seed, memberCount, act);
  return [
    row('1 of 16 killed, to all lookups right', '15 s Orleans, 5 s ringpop', 1_000, of(16, killed(1))),
    row('2 neighbours of 16 killed', 'correct after 20 s (course)', 2_000, of(16, killed(2))),
    row('r = 8 consecutive of 16 killed', 'stuck for ever (chord-grpc)', 5_000, of(16, killed(8))),
    row('1 of 16 frozen', '12 s memberlist', 3_000, of(16, frozen)),
    row('the frozen one wakes, to an ideal ring', '-', 10_000, of(16, woken)),
    row('1 of 2 killed', 'never (ringpop)', 1_000, of(2, killed(1))),
    row('1 of 2 frozen', 'never (ringpop)', 3_000, of(2, frozen)),
    row('20 join 4 at once, to all lookups right', 'unsafe (Cassandra)', 10_000, of(4, joining(20))),
    row(
      '16 cut in halves for 60 s, healed, to an ideal ring',
      'never merge (ringpop)',
      40_000,
      of(16, healed),
    ),
    halfDies(seed),
  ];
}
