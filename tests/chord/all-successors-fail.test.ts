/**
 * Z11: all r successors of a member fail at once, as when a zone goes down. The member table says who is left; while
 * it cannot be asked nobody may conclude from silence around it that it is the ring.
 */
import { describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import { ALL_CORRECTIONS, type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { isAlone } from '../../node/chord/custody.ts';
import { placeIdealRing } from '../simulation/ideal-ring.ts';
import { checkInvariants } from '../simulation/invariants.ts';
import { flaw } from '../simulation/oracle.ts';
import type { SimulatedNode } from '../simulation/simulated-node.ts';
import { Simulation } from '../simulation/simulation.ts';
import { untilAllRight } from '../simulation/until-right.ts';

const SURVIVOR_ID = identifier(1);
const OWN_KEY = SURVIVOR_ID;
const QUIET_MS = 120_000;

interface Outage {
  readonly simulation: Simulation;
  readonly survivor: SimulatedNode;
}

/** A ring that is used, so that leases are fresh; then everybody but the first member is gone. */
function loseAllOthers(options: {
  readonly memberCount: number;
  readonly config: ChordConfig;
  readonly hasTable: boolean;
}): Outage {
  const { memberCount, config, hasTable } = options;
  const isWhole = config.corrections === ALL_CORRECTIONS;
  const simulation = new Simulation({ seed: 11, config, ...(isWhole ? { observe: checkInvariants } : {}) });
  const ids = Array.from({ length: memberCount }, (_, i) => identifier(i * 2 ** 28 + 1));
  const [survivor, ...others] = placeIdealRing(simulation, { ids, isMaintained: true });
  if (survivor === undefined) throw new Error('a ring of nobody');
  for (let i = 0; i < 5; i++) {
    simulation.lookup(survivor, OWN_KEY);
    simulation.runUntil(simulation.nowMs + 1_000);
  }
  simulation.registry.isAvailable = hasTable;
  for (const node of others) simulation.crash(node);
  return { simulation, survivor };
}

function wasEverAlone({ simulation, survivor }: Outage, forMs: number): boolean {
  return simulation.runUntilTrue(() => isAlone(survivor.state), forMs, 50);
}

describe.each([
  [3, 2],
  [9, 8],
])('Z11: all successors of one fail at once (%i members, r = %i)', (memberCount, successorListLength) => {
  const config = { ...DEFAULT_CONFIG, successorListLength };

  test('with the member table it heals, and lets newcomers in', () => {
    const { simulation, survivor } = loseAllOthers({ memberCount, config, hasTable: true });

    expect(simulation.runUntilTrue(() => flaw(simulation) === undefined, 10_000)).toBe(true);
    expect(isAlone(survivor.state)).toBe(true);
    const keys = [OWN_KEY, identifier(2 ** 31)];
    expect(untilAllRight(simulation, { keys, limitMs: 1_000 })).toBeLessThan(Number.POSITIVE_INFINITY);

    simulation.join(simulation.addNode(identifier(2 ** 31), 'i-newcomer'));
    expect(simulation.runUntilTrue(() => flaw(simulation) === undefined, 60_000)).toBe(true);
  });

  test('without it, its own arc is served as long as the lease lasts', () => {
    const { simulation, survivor } = loseAllOthers({ memberCount, config, hasTable: false });

    const lookupId = simulation.lookup(survivor, OWN_KEY);

    expect(simulation.lookups.get(lookupId)).toMatchObject({
      kind: 'found',
      owner: { instanceId: survivor.member.instanceId },
    });
  });

  test('without it, the member stays in doubt and never declares itself a ring of one; with it back, it heals', () => {
    const outage = loseAllOthers({ memberCount, config, hasTable: false });
    const { simulation, survivor } = outage;

    expect(wasEverAlone(outage, QUIET_MS)).toBe(false);
    expect(survivor.state.standing).toBe('inside');
    expect(survivor.state.pointers).toMatchObject({ predecessorIsDead: true, successorList: [] });
    const lookupId = simulation.lookup(survivor, identifier(2 ** 31));
    simulation.runUntil(simulation.nowMs + 10_000);
    expect(simulation.lookups.get(lookupId)?.kind).toBe('unconfirmed');

    simulation.registry.isAvailable = true;
    simulation.runUntilTrue(() => flaw(simulation) === undefined, 60_000);
    expect(flaw(simulation)).toBeUndefined();
    expect(isAlone(survivor.state)).toBe(true);
  });

  test('it would declare itself a ring of one without leases', () => {
    const corrections = { ...ALL_CORRECTIONS, leases: false };

    const outage = loseAllOthers({ memberCount, config: { ...config, corrections }, hasTable: false });

    expect(wasEverAlone(outage, QUIET_MS)).toBe(true);
  });
});

describe('Z11: a member that knows its neighbours alone loses all of them, and others live', () => {
  /** Of 0 to 5, both successors of 0 and the two members before it. */
  function whatIsLeft(corrections: typeof ALL_CORRECTIONS): string | undefined {
    const config = { ...DEFAULT_CONFIG, successorListLength: 2, memberTable: false, corrections };
    const simulation = new Simulation({ seed: 11, config });
    const ids = Array.from({ length: 6 }, (_, i) => identifier(i * 2 ** 28 + 1));
    const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
    simulation.runUntil(5_000);
    for (const at of [1, 2, 4, 5]) {
      const node = nodes[at];
      if (node !== undefined) simulation.crash(node);
    }
    simulation.runUntilTrue(() => flaw(simulation) === undefined, QUIET_MS);
    return flaw(simulation);
  }

  test('the member table names one, and the ring closes', () => {
    expect(whatIsLeft(ALL_CORRECTIONS)).toBeUndefined();
  });

  test('it never closes without that fallback', () => {
    const corrections = { ...ALL_CORRECTIONS, registryFallback: false, registryResync: false };

    expect(whatIsLeft(corrections)).toContain('successor list');
  });
});
