import type { Identifier } from '../../domain/identifier.ts';
import { insideById, rightOwner } from './oracle.ts';
import type { Simulation } from './simulation.ts';

const LOOK_EVERY_MS = 20;

/**
 * Runs until every member has found every key at its right owner, as clients that ask again would; the ms it took, or
 * Infinity. Each lookup is repeated while it finds nobody or the wrong one.
 */
export function untilAllRight(
  simulation: Simulation,
  { keys, limitMs }: { readonly keys: readonly Identifier[]; readonly limitMs: number },
): number {
  const fromMs = simulation.nowMs;
  const open = insideById(simulation)
    .filter(({ isServing, isFrozen }) => isServing && !isFrozen)
    .flatMap((by) => keys.map((key) => ({ by, key, lookupId: simulation.lookup(by, key) })));
  const isRight = simulation.runUntilTrue(
    () => {
      for (let i = open.length - 1; i >= 0; i--) {
        const entry = open[i];
        const outcome = entry && simulation.lookups.get(entry.lookupId);
        if (entry === undefined || outcome === undefined) continue;
        const right = rightOwner(simulation, entry.key)?.member.instanceId;
        if (outcome.kind === 'found' && outcome.owner.instanceId === right) open.splice(i, 1);
        else entry.lookupId = simulation.lookup(entry.by, entry.key);
      }
      return open.length === 0;
    },
    limitMs,
    LOOK_EVERY_MS,
  );
  return isRight ? simulation.nowMs - fromMs : Number.POSITIVE_INFINITY;
}
