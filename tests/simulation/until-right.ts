import type { Identifier } from '../../domain/identifier.ts';
import { insideById } from './oracle.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

const LOOK_EVERY_MS = 20;

interface Question {
  readonly by: SimulatedNode;
  readonly key: Identifier;
  readonly lookupId: number;
}

/**
 * Runs until every running member has found every key at its right owner, as clients that ask again would; the ms it
 * took, or Infinity. Each lookup is repeated while it finds nobody or the wrong one. Frozen members do not count.
 */
export function untilAllRight(
  simulation: Simulation,
  {
    keys,
    limitMs,
    askers,
  }: {
    readonly keys: readonly Identifier[];
    readonly limitMs: number;
    /** All that run, unless given. */
    readonly askers?: readonly SimulatedNode[];
  },
): number {
  const fromMs = simulation.nowMs;
  const ask = (by: SimulatedNode, key: Identifier): Question => ({
    by,
    key,
    lookupId: simulation.lookup(by, key),
  });
  let open = (askers ?? running(simulation)).flatMap((by) => keys.map((key) => ask(by, key)));
  const look = (): boolean => {
    const members = running(simulation);
    open = open.flatMap((question) => {
      const outcome = simulation.lookups.get(question.lookupId);
      if (outcome === undefined) return [question];
      const right = members.find(({ member }) => member.id >= question.key) ?? members[0];
      const isRight = outcome.kind === 'found' && outcome.owner.instanceId === right?.member.instanceId;
      return isRight ? [] : [ask(question.by, question.key)];
    });
    return open.length === 0;
  };
  return simulation.runUntilTrue(look, limitMs, LOOK_EVERY_MS)
    ? simulation.nowMs - fromMs
    : Number.POSITIVE_INFINITY;
}

function running(simulation: Simulation): readonly SimulatedNode[] {
  return insideById(simulation).filter(({ isServing, isFrozen }) => isServing && !isFrozen);
}
