import { expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import { DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { placeIdealRing } from './ideal-ring.ts';
import { checkInvariants } from './invariants.ts';
import { Simulation } from './simulation.ts';
import { untilAllRight } from './until-right.ts';

const IDS = Array.from({ length: 16 }, (_, i) => identifier(i * 2 ** 28 + 1));
const KEYS = IDS.map((id) => identifier(id - 7));
/** The longest that the lease of somebody who is gone may still be valid. */
const LEASE_MS = DEFAULT_CONFIG.leaseMs;

function crashNeighbours(seed: number, count: number): number {
  const simulation = new Simulation({ seed, observe: checkInvariants });
  const nodes = placeIdealRing(simulation, { ids: IDS, isMaintained: true });
  simulation.runUntil(10_000 + seed * 137);
  for (const node of nodes.slice(5, 5 + count)) simulation.crash(node);
  return untilAllRight(simulation, { keys: KEYS, limitMs: 60_000 });
}

test.each([1, 2, 3, 8])(
  '%i neighbours that die at once are replaced without waiting for a lease',
  (count) => {
    const timesMs = Array.from({ length: 10 }, (_, seed) => crashNeighbours(seed, count));

    expect(timesMs.filter((ms) => ms > LEASE_MS)).toEqual([]);
  },
);
