/** How much longer a lookup takes than one round trip to the owner. */
import { placeIdealRing } from '../../tests/simulation/ideal-ring.ts';
import { Simulation } from '../../tests/simulation/simulation.ts';
import { distributionOf } from '../distribution.ts';
import type { GoalRow } from './goal-row.ts';

const MEMBER_COUNT = 100;
/** One way and always the same, so that a round trip is known. */
const DELAY_MS = 10;
const LOOKUPS = 2_000;

/** Lookups one after the other, so many ms apart, each over its round trip. */
function stretch(seed: number, everyMs: number): readonly number[] {
  const simulation = new Simulation({ seed });
  simulation.network.weather = { baseDelayMs: DELAY_MS, meanDelayMs: 0, loss: 0, duplication: 0 };
  const ids = Array.from({ length: MEMBER_COUNT }, () => simulation.randomId());
  const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
  const measured: number[] = [];
  for (let i = 0; i < 2 * LOOKUPS; i++) {
    const atMs = simulation.nowMs;
    const by = simulation.dice.pick(nodes);
    if (by === undefined) continue;
    const lookupId = simulation.lookup(by, simulation.randomId());
    while (!simulation.lookups.has(lookupId)) simulation.queue.runNext();
    const outcome = simulation.lookups.get(lookupId);
    const isOwn = outcome?.kind === 'found' && outcome.owner.instanceId === by.member.instanceId;
    // The first half warms the ring up.
    if (i >= LOOKUPS && !isOwn) measured.push((simulation.nowMs - atMs) / (2 * DELAY_MS));
    simulation.runUntil(atMs + everyMs);
  }
  return measured;
}

export function stretchGoals({ seed }: { readonly seed: number }): readonly GoalRow[] {
  const [inUse, cold] = [distributionOf(stretch(seed, 25)), distributionOf(stretch(seed, 1_000))];
  const of = (name: string, run: typeof inUse, isMet: boolean, goal: string): GoalRow => ({
    metric: `lookup time over one round trip to the owner, ${name}`,
    toBeat: '4.5 (1.7 with s = 16)',
    goal,
    ours: `mean ${run.mean.toFixed(2)}, p99 ${run.p99.toFixed(2)}`,
    isMet,
  });
  return [
    of('each arc asked every 2.5 s or so', inUse, inUse.mean <= 1.1, '<= 1.1'),
    of('first question for an idle arc (its owner renews its lease first)', cold, cold.mean <= 1.7, '<= 1.7'),
  ];
}
