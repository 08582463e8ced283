import { type Identifier, identifier } from '../../domain/identifier.ts';
import type { ChordConfig } from '../../node/chord/config.ts';
import { placeIdealRing } from '../../tests/simulation/ideal-ring.ts';
import { insideById, rightOwner } from '../../tests/simulation/oracle.ts';
import { Dice } from '../../tests/simulation/random.ts';
import type { SimulatedNode } from '../../tests/simulation/simulated-node.ts';
import { Simulation } from '../../tests/simulation/simulation.ts';
import { type Distribution, distributionOf } from '../distribution.ts';
import { WIRE_SIZES } from '../message-sizes.ts';

export interface ChurnOptions {
  readonly memberCount: number;
  readonly seed: number;
  readonly config: ChordConfig;
  /** Joins and leaves, each a Poisson process of this rate. */
  readonly changesPerSecond: number;
  readonly lookupsPerSecond: number;
  readonly lookupCount: number;
  /** One way, exponential. */
  readonly meanDelayMs: number;
}

export interface ChurnRun {
  /** Members asked, dead ones and the owner included. */
  readonly contacts: Distribution;
  readonly timeouts: Distribution;
  /** Found nobody, or somebody who was not the owner. */
  readonly failed: number;
  readonly lookups: number;
  readonly seconds: number;
  readonly joined: number;
  readonly left: number;
  readonly callsPerNodeSecond: number;
  /** Requests and answers, as the real codec puts them on the wire, without TCP's own. */
  readonly bytesPerNodeSecond: number;
}

/** How long after the last lookup answers are waited for. */
const TAIL_MS = 10_000;
/** Members come and go for so long before anything is counted. */
const WARM_UP_MS = 10_000;

/**
 * A ring in which members join and leave while others look keys up (TON 2003, V-E). The members are maintained as in
 * production: with the default timers, admission one at a time, hand-over before leaving.
 */
export function runChurn(options: ChurnOptions): ChurnRun {
  const { memberCount, seed, config } = options;
  const simulation = new Simulation({ seed, config });
  simulation.sizes = WIRE_SIZES;
  simulation.network.weather = { baseDelayMs: 0, meanDelayMs: options.meanDelayMs, loss: 0, duplication: 0 };
  const ids = new Set<Identifier>();
  while (ids.size < memberCount) ids.add(simulation.randomId());
  placeIdealRing(simulation, { ids: [...ids], isMaintained: true });
  const asked: { readonly lookupId: number; readonly owners: Set<string | undefined> }[] = [];
  let isOver = false;
  let left = 0;
  let joined = 0;
  // Dice of their own: the same members come and go whatever the protocol draws.
  const arrivals = new Dice(seed ^ 0x2545f491);
  const poisson = (perSecond: number, act: () => void): void => {
    if (perSecond <= 0) return;
    simulation.queue.after(arrivals.exponential(1_000 / perSecond), () => {
      if (isOver) return;
      act();
      poisson(perSecond, act);
    });
  };
  poisson(options.changesPerSecond, () => {
    joined += 1;
    simulation.join(simulation.addNode(randomKey(arrivals)));
  });
  poisson(options.changesPerSecond, () => {
    const node = arrivals.pick(serving(simulation).filter(({ isLeaving }) => !isLeaving));
    if (node === undefined) return;
    left += 1;
    simulation.leave(node);
  });
  simulation.runUntil(WARM_UP_MS);
  const before = { ...simulation.counts, atMs: simulation.nowMs };
  poisson(options.lookupsPerSecond, () => {
    const by = arrivals.pick(serving(simulation));
    if (by === undefined || asked.length >= options.lookupCount) return;
    const key = randomKey(arrivals);
    const owners = new Set([rightOwner(simulation, key)?.member.instanceId]);
    const lookupId = simulation.lookup(by, key);
    asked.push({ lookupId, owners });
    watch(simulation, lookupId, () => owners.add(rightOwner(simulation, key)?.member.instanceId));
  });
  while (asked.length < options.lookupCount) simulation.queue.runNext();
  const seconds = (simulation.nowMs - before.atMs) / 1_000;
  const nodeSeconds = memberCount * seconds;
  const callsPerNodeSecond = (simulation.counts.calls - before.calls) / nodeSeconds;
  const bytesPerNodeSecond = (simulation.counts.bytes - before.bytes) / nodeSeconds;
  isOver = true;
  simulation.runUntil(simulation.nowMs + TAIL_MS);
  const outcomes = asked.map(({ lookupId, owners }) => ({
    outcome: simulation.lookups.get(lookupId),
    owners,
  }));
  const found = outcomes.flatMap(({ outcome }) => (outcome?.kind === 'found' ? [outcome] : []));
  const failed = outcomes.filter(
    ({ outcome, owners }) => outcome?.kind !== 'found' || !owners.has(outcome.owner.instanceId),
  ).length;
  return {
    contacts: distributionOf(found.map(({ hops }) => hops)),
    timeouts: distributionOf(found.map(({ timeouts }) => timeouts)),
    failed,
    lookups: outcomes.length,
    seconds,
    joined,
    left,
    callsPerNodeSecond,
    bytesPerNodeSecond,
  };
}

function randomKey(dice: Dice): Identifier {
  return identifier(dice.integer(0, 2 ** 32));
}

function serving(simulation: Simulation): readonly SimulatedNode[] {
  return insideById(simulation).filter(({ isServing }) => isServing);
}

/** Ownership may change hands while a lookup is under way: whoever owns the key meanwhile is a right answer. */
function watch(simulation: Simulation, lookupId: number, look: () => void): void {
  const LOOK_EVERY_MS = 100;
  simulation.queue.after(LOOK_EVERY_MS, () => {
    look();
    if (!simulation.lookups.has(lookupId) && simulation.nodes.size > 0) watch(simulation, lookupId, look);
  });
}
