/**
 * One seed, one cut: a ring whose members know their neighbours alone is cut in two at random for a minute, in which some
 * of them die, and is then mended. Each half closes its own ring; the look into the member table is what makes them one
 * again. With the whole member table in every member, other things do that, too, and nobody would miss the look.
 */
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { placeIdealRing } from './ideal-ring.ts';
import { checkPointers } from './invariants.ts';
import { flaw } from './oracle.ts';
import { Dice } from './random.ts';
import type { ScenarioOptions, ScenarioResult } from './scenario.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { Simulation } from './simulation.ts';

const CUT_MS = 60_000;
const QUIET_LIMIT_MS = 150_000;

export function runHalves({ seed, config, trace }: ScenarioOptions): ScenarioResult {
  const pointersAlone: ChordConfig = { ...(config ?? DEFAULT_CONFIG), memberTable: false };
  const simulation = new Simulation({
    seed,
    config: pointersAlone,
    observe: (_, observation) => checkPointers(observation),
    ...(trace === undefined ? {} : { trace }),
  });
  const dice = new Dice(seed ^ 0x51ed270b);
  const count = dice.integer(4, 11);
  const ids = Array.from({ length: count }, () => simulation.randomId());
  const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
  simulation.runUntil(6_000);
  cutInTwo(simulation, nodes, dice);
  for (const node of nodes) {
    const isLast = simulation.registry.rows().length <= 2;
    if (!isLast && dice.chance(0.1)) lose(simulation, node);
  }
  simulation.runUntil(simulation.nowMs + CUT_MS);
  simulation.network.mendAll();
  const mendedMs = simulation.nowMs;
  const isIdeal = simulation.runUntilTrue(() => flaw(simulation) === undefined, QUIET_LIMIT_MS, 250);
  return {
    seed,
    failure: isIdeal ? undefined : `never ideal again: ${flaw(simulation)}`,
    events: simulation.counts.events,
    virtualMs: simulation.nowMs,
    healMs: simulation.nowMs - mendedMs,
  };
}

/** Its process ends, and its row with it. */
function lose(simulation: Simulation, node: SimulatedNode): void {
  simulation.crash(node);
  node.isGone = true;
  simulation.registry.remove(node.member);
}

function cutInTwo({ network }: Simulation, nodes: readonly SimulatedNode[], dice: Dice): void {
  const isNear = new Map(nodes.map((node) => [node, dice.chance(0.5)]));
  for (const a of nodes) {
    for (const b of nodes) {
      if (isNear.get(a) !== isNear.get(b)) network.cut(a.member.instanceId, b.member.instanceId);
    }
  }
}
