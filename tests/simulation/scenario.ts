/**
 * One seed, one story: a ring boots from one node, and then joins, leaves, crashes, restarts, freezes, partitions,
 * bad weather and an absent member table happen in any order. Then everything is mended, and the ring must become
 * ideal again by itself, with every lookup answered by the right member.
 */
import type { ChordConfig } from '../../node/chord/config.ts';
import { History } from './history.ts';
import { checkInvariants, historyIsRight, ringIsWhole } from './invariants.ts';
import { flaw, insideById, rightOwner } from './oracle.ts';
import { RingShape } from './ring-shape.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { Simulation } from './simulation.ts';
import { FAIR_WEATHER } from './virtual-network.ts';

export interface ScenarioOptions {
  readonly seed: number;
  readonly config?: ChordConfig | undefined;
  readonly trace?: (line: string) => void;
}

export interface ScenarioResult {
  readonly seed: number;
  /** Undefined: everything held. */
  readonly failure: string | undefined;
  readonly events: number;
  readonly virtualMs: number;
  readonly healMs: number;
}

const MAX_NODES = 10;
const QUIET_LIMIT_MS = 150_000;
/** No run does more than this: a storm of messages is a failure, too. */
const MAX_EVENTS = 2_000_000;

export function runScenario({ seed, config, trace }: ScenarioOptions): ScenarioResult {
  const shape = new RingShape();
  const history = new History();
  const simulation = new Simulation({
    seed,
    clockSkew: 0.002,
    observe(current, observation) {
      checkInvariants(current, observation);
      ringIsWhole(shape, current, observation);
      historyIsRight(history, current, observation);
      if (current.counts.events > MAX_EVENTS) throw new Error('more events than any run should need');
    },
    ...(config === undefined ? {} : { config }),
    ...(trace === undefined ? {} : { trace }),
  });
  let healMs = 0;
  let failure: string | undefined;
  try {
    boot(simulation);
    disturb(simulation);
    mend(simulation);
    const mendedMs = simulation.nowMs;
    const isIdeal = simulation.runUntilTrue(() => flaw(simulation) === undefined, QUIET_LIMIT_MS, 250);
    healMs = simulation.nowMs - mendedMs;
    failure = isIdeal ? wrongOnceQuiet(simulation) : `never ideal again: ${flaw(simulation)}`;
  } catch (error) {
    failure =
      error instanceof Error ? `${error.message} at ${simulation.nowMs.toFixed(1)} ms` : String(error);
    if (error instanceof TypeError || error instanceof RangeError) failure = error.stack ?? failure;
  }
  return { seed, failure, events: simulation.counts.events, virtualMs: simulation.nowMs, healMs };
}

/** From one node; the others come at once, or one after the other. */
function boot(simulation: Simulation): void {
  const { dice, network } = simulation;
  network.weather = { ...FAIR_WEATHER, meanDelayMs: dice.exponential(15) + 0.5 };
  simulation.create(simulation.addNode(simulation.randomId()));
  simulation.runUntil(200);
  const count = dice.integer(0, 6);
  for (let i = 0; i < count; i++) {
    simulation.join(simulation.addNode(simulation.randomId()));
    if (dice.chance(0.5)) simulation.runUntil(simulation.nowMs + dice.exponential(1_500));
  }
  if (dice.chance(0.7)) simulation.runUntil(simulation.nowMs + dice.between(0, 6_000));
}

type Disturbance = (simulation: Simulation) => void;

const DISTURBANCES: readonly (readonly [weight: number, act: Disturbance])[] = [
  [5, join],
  [5, crashSome],
  [5, restartSome],
  [4, freezeSome],
  [3, leaveSome],
  [3, partition],
  [2, cutOneLink],
  [3, changeWeather],
  [1, loseRegistry],
  [3, lookAround],
];

function disturb(simulation: Simulation): void {
  const { dice } = simulation;
  const total = DISTURBANCES.reduce((sum, [weight]) => sum + weight, 0);
  const count = dice.integer(3, 16);
  for (let i = 0; i < count; i++) {
    let point = dice.between(0, total);
    for (const [weight, act] of DISTURBANCES) {
      point -= weight;
      if (point < 0) {
        act(simulation);
        break;
      }
    }
    simulation.runUntil(simulation.nowMs + dice.exponential(dice.chance(0.3) ? 200 : 3_000));
  }
}

function join(simulation: Simulation): void {
  if ([...simulation.nodes.values()].filter(({ isUp }) => isUp).length >= MAX_NODES) return;
  simulation.join(simulation.addNode(simulation.randomId()));
}

/** At least one serving member stays up: who loses all of them has lost the files, too. */
function crashSome(simulation: Simulation): void {
  const { dice } = simulation;
  const count = dice.chance(0.7) ? 1 : dice.integer(1, 5);
  for (let i = 0; i < count; i++) {
    const serving = insideById(simulation).filter(({ isServing }) => isServing);
    const up = [...simulation.nodes.values()].filter(({ isUp }) => isUp);
    const victim = dice.pick(up);
    const isLast = serving.length <= 1 && victim !== undefined && serving.includes(victim);
    if (victim !== undefined && (!isLast || isWholeRingDown(simulation))) simulation.crash(victim);
  }
}

/** Now and then the whole ring loses power: it must come back by itself (restarts come in `mend` at the latest). */
function isWholeRingDown({ dice }: Simulation): boolean {
  return dice.chance(0.1);
}

function restartSome(simulation: Simulation): void {
  const down = [...simulation.nodes.values()].filter(
    ({ isUp, isGone, life }) => !isUp && !isGone && life > 0,
  );
  const node = simulation.dice.pick(down);
  if (node !== undefined) simulation.restart(node);
}

function freezeSome(simulation: Simulation): void {
  const { dice } = simulation;
  const running = [...simulation.nodes.values()].filter(({ isUp, isFrozen }) => isUp && !isFrozen);
  const node = dice.pick(running);
  if (node === undefined) return;
  simulation.freeze(node);
  const { life } = node;
  simulation.queue.after(dice.exponential(dice.chance(0.5) ? 800 : 6_000), () => {
    if (node.life === life) simulation.thaw(node);
  });
}

function leaveSome(simulation: Simulation): void {
  const serving = insideById(simulation).filter((node) => node.isServing && !node.isFrozen);
  const node = serving.length > 1 ? simulation.dice.pick(serving) : undefined;
  if (node !== undefined) simulation.leave(node);
}

function partition(simulation: Simulation): void {
  const { dice, network } = simulation;
  const names = [...simulation.nodes.keys()];
  const near = names.filter(() => dice.chance(0.5));
  const far = names.filter((name) => !near.includes(name));
  const isOneWay = dice.chance(0.2);
  const links = near.flatMap((a) => far.map((b) => [a, b] as const));
  for (const [a, b] of links) {
    network.cut(a, b);
    if (!isOneWay) network.cut(b, a);
  }
  simulation.trace(() => `partition ${near.join()} | ${far.join()}`);
  simulation.queue.after(dice.exponential(8_000), () => {
    for (const [a, b] of links) {
      network.mend(a, b);
      if (!isOneWay) network.mend(b, a);
    }
  });
}

function cutOneLink(simulation: Simulation): void {
  const { dice, network } = simulation;
  const a = dice.pick([...simulation.nodes.keys()]);
  const b = dice.pick([...simulation.nodes.keys()]);
  if (a === undefined || b === undefined || a === b) return;
  simulation.trace(() => `cut ${a} > ${b}`);
  network.cut(a, b);
  simulation.queue.after(dice.exponential(6_000), () => network.mend(a, b));
}

function changeWeather({ dice, network }: Simulation): void {
  network.weather = {
    baseDelayMs: dice.between(0.1, 3),
    meanDelayMs: dice.exponential(dice.chance(0.8) ? 15 : 80),
    loss: dice.chance(0.5) ? dice.between(0, 0.2) : 0,
    duplication: dice.chance(0.5) ? dice.between(0, 0.2) : 0,
  };
}

function loseRegistry(simulation: Simulation): void {
  simulation.trace(() => 'registry away');
  simulation.registry.isAvailable = false;
  simulation.queue.after(simulation.dice.exponential(10_000), () => {
    simulation.registry.isAvailable = true;
  });
}

/** Lookups while things happen: they may fail, but what they find was an owner when it said so (I6). */
function lookAround(simulation: Simulation): void {
  for (const node of simulation.nodes.values()) {
    if (node.isInside && simulation.dice.chance(0.7)) simulation.lookup(node, simulation.randomId());
  }
}

/** All is well again: links, weather, table and machines. Machines that stay down are taken off the table. */
function mend(simulation: Simulation): void {
  const { network, registry, dice } = simulation;
  simulation.trace(() => 'mend');
  network.mendAll();
  network.weather = { ...FAIR_WEATHER, meanDelayMs: 2 };
  registry.isAvailable = true;
  // Who was declared dead and does not know it yet holds no ring together.
  const isAnyServing = () =>
    insideById(simulation).some(({ isServing, member }) => isServing && !registry.isDeclaredDead(member));
  for (const node of simulation.nodes.values()) simulation.thaw(node);
  const down = () =>
    [...simulation.nodes.values()].filter(({ isUp, isGone, life }) => !isUp && !isGone && life > 0);
  const mustRestart = !isAnyServing();
  for (const node of down()) {
    if (mustRestart || dice.chance(0.6)) simulation.restart(node);
  }
  foundAnew(simulation);
  // The group replaces what does not come back, and its rows end: nobody waits for the dead.
  simulation.queue.after(5_000, () => {
    removeDead(simulation, down());
    foundAnew(simulation);
  });
  for (const delayMs of [30_000, 60_000, 90_000])
    simulation.queue.after(delayMs, () => foundAnew(simulation));
}

/** The last member left on purpose while others were on their way: the control plane lets one of them begin anew. */
function foundAnew(simulation: Simulation): void {
  const { registry } = simulation;
  const isOver = registry.rows().every(({ phase }) => phase === 'joining');
  const founder = [...simulation.nodes.values()].find(({ isUp, isGone }) => isUp && !isGone);
  if (isOver && founder !== undefined && !insideById(simulation).some(({ isServing }) => isServing)) {
    founder.member = { ...founder.member, incarnation: founder.member.incarnation + 1 };
    simulation.create(founder);
  }
}

function removeDead(simulation: Simulation, down: readonly SimulatedNode[]): void {
  for (const node of down) {
    node.isGone = true;
    simulation.registry.remove(node.member);
  }
}

const LOOKUPS_PER_NODE = 6;
const QUIET_TRIES = 3;

/** What the table decided just before everything was mended may still come through: then it was not quiet yet. */
function wrongOnceQuiet(simulation: Simulation): string | undefined {
  let wrong: string | undefined;
  for (let i = 0; i < QUIET_TRIES; i++) {
    const before = serversOf(simulation);
    wrong = wrongLookup(simulation);
    if (wrong === undefined || before === serversOf(simulation)) return wrong;
    simulation.runUntilTrue(() => flaw(simulation) === undefined, QUIET_LIMIT_MS, 250);
  }
  return wrong;
}

function serversOf(simulation: Simulation): string {
  const serving = insideById(simulation).filter(({ isServing }) => isServing);
  return serving.map(({ member }) => `${member.instanceId}/${member.incarnation}`).join();
}

function wrongLookup(simulation: Simulation): string | undefined {
  const asked = insideById(simulation).flatMap((node) =>
    Array.from({ length: LOOKUPS_PER_NODE }, (_, i) => {
      // The boundaries are where mistakes live: the ids themselves and their neighbours are among the keys.
      const key = i === 0 ? node.member.id : simulation.randomId();
      return { key, lookupId: simulation.lookup(node, key), by: node };
    }),
  );
  simulation.runUntil(simulation.nowMs + 4_000);
  for (const { key, lookupId, by } of asked) {
    const outcome = simulation.lookups.get(lookupId);
    const right = rightOwner(simulation, key)?.member.instanceId;
    if (outcome?.kind !== 'found') return `lookup of ${key} by ${by.member.instanceId} found nobody`;
    if (outcome.owner.instanceId !== right) {
      return `lookup of ${key} by ${by.member.instanceId} found ${outcome.owner.instanceId}, not ${right}`;
    }
  }
  return flaw(simulation);
}
