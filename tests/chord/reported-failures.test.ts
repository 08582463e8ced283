/**
 * What users of other rings have reported, each as a test of ours, by the numbers of the list that docs/protocol.md
 * shows: how a ring loses members and finds itself again. Where one correction is what keeps it from happening, the
 * same events without that correction end badly.
 */
import { describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import type { Corrections } from '../../node/chord/config.ts';
import { isAlone } from '../../node/chord/custody.ts';
import { flaw, insideById } from '../simulation/oracle.ts';
import { untilAllRight } from '../simulation/until-right.ts';
import { NEVER, type SmallRing, smallRing, untilIdeal } from './small-ring.ts';

/** Members that know their neighbours alone: what the list and the member table's word can do is seen. */
const POINTERS_ALONE = { memberTable: false } as const;

function keysOf({ nodes }: SmallRing) {
  return nodes.map(({ member }) => identifier(member.id - 1));
}

describe('5.1: a member that dies without a word', () => {
  test.each([0, 1, 2, 3, 4])(
    'is forgotten by everybody, and every key is served (member %i of 5)',
    (dead) => {
      const ring = smallRing(5);
      ring.simulation.crash(ring.at(dead));

      expect(untilAllRight(ring.simulation, { keys: keysOf(ring), limitMs: 30_000 })).toBeLessThan(2_000);
      expect(untilIdeal(ring.simulation)).toBeLessThan(10_000);
      // For ever after, nobody calls it in vain.
      ring.simulation.runUntil(ring.simulation.nowMs + 60_000);
      expect(flaw(ring.simulation)).toBeUndefined();
      for (const { state } of insideById(ring.simulation)) expect(state.suspicions.size).toBe(0);
    },
  );
});

describe('5.3: the dead successor in a list of one', () => {
  function healAfterBothNeighbours(without: readonly (keyof Corrections)[]): number {
    const { simulation, at } = smallRing(6, {
      config: { ...POINTERS_ALONE, successorListLength: 1 },
      without,
    });
    simulation.crash(at(1));
    simulation.crash(at(5));
    return untilIdeal(simulation);
  }

  test('is replaced by the member table’s word', () => {
    expect(healAfterBothNeighbours([])).toBeLessThan(60_000);
  });

  test('is never replaced without it', () => {
    expect(healAfterBothNeighbours(['registryFallback', 'registryResync'])).toBe(NEVER);
  });
});

test('5.4: the last of sixteen notices that it is alone, and takes newcomers', () => {
  const { simulation, nodes, at } = smallRing(16);
  for (const node of nodes.slice(1)) {
    simulation.crash(node);
    expect(untilIdeal(simulation)).toBeLessThan(60_000);
  }
  expect(isAlone(at(0).state)).toBe(true);

  simulation.join(simulation.addNode(identifier(77), 'i-newcomer'));

  expect(simulation.runUntilTrue(() => insideById(simulation).length === 2, 10_000)).toBe(true);
  expect(untilIdeal(simulation)).toBeLessThan(20_000);
});

describe('5.15: everybody else falls silent within one detection window', () => {
  function silence(without: readonly (keyof Corrections)[], isWatched = true): SmallRing {
    const ring = smallRing(9, { without, isWatched });
    for (const node of ring.nodes.slice(1)) ring.simulation.freeze(node);
    ring.simulation.runUntil(ring.simulation.nowMs + 120_000);
    return ring;
  }

  test('and the one left claims nothing but its own arc; when they wake up, it is the same ring', () => {
    const { simulation, nodes, at } = silence([]);

    expect(isAlone(at(0).state)).toBe(false);
    for (const node of nodes) simulation.thaw(node);
    expect(untilIdeal(simulation)).toBeLessThan(60_000);
    expect(insideById(simulation)).toHaveLength(9);
  });

  test('and it would own everything without a majority’s word', () => {
    const ring = silence(['majorityTakeOver', 'leases'], false);

    expect(isAlone(ring.at(0).state)).toBe(true);
  });
});

describe.each([2, 3, 4, 5])('5.16: a ring of %i, smaller than its list, that has lost one', (count) => {
  function listLengths(without: readonly (keyof Corrections)[]): readonly number[] {
    const { simulation, at } = smallRing(count + 1, { config: POINTERS_ALONE, without });
    simulation.crash(at(1));
    simulation.runUntil(simulation.nowMs + 30_000);
    return insideById(simulation).map(({ state }) => state.pointers.successorList.length);
  }

  test('lists every other member everywhere', () => {
    expect(listLengths([])).toEqual(Array(count).fill(count - 1));
  });

  test('would not drop anybody twice, or list itself, only thanks to the cut', () => {
    expect(listLengths(['truncateAtSelf'])).not.toEqual(Array(count).fill(count - 1));
  });
});

describe('5.20: two halves that are cut off from each other for a minute', () => {
  function mergeAfterCut(options: {
    readonly memberTable: boolean;
    readonly without: readonly (keyof Corrections)[];
  }): number {
    const { simulation, nodes } = smallRing(8, {
      config: { memberTable: options.memberTable },
      without: options.without,
      isWatched: options.memberTable && options.without.length === 0,
    });
    // Every other member: each half could close its own ring.
    const [near, far] = [0, 1].map((half) => nodes.filter((_, i) => i % 2 === half));
    for (const { member: a } of near ?? []) {
      for (const { member: b } of far ?? []) {
        simulation.network.cut(a.instanceId, b.instanceId);
        simulation.network.cut(b.instanceId, a.instanceId);
      }
    }
    simulation.runUntil(simulation.nowMs + 60_000);
    simulation.network.mendAll();
    return untilIdeal(simulation);
  }

  test('are one ring again within forty seconds', () => {
    expect(mergeAfterCut({ memberTable: true, without: [] })).toBeLessThan(40_000);
  });

  test('find each other through the member table, even when they know their neighbours alone', () => {
    expect(mergeAfterCut({ memberTable: false, without: [] })).toBeLessThan(60_000);
  });

  test('stay two rings for ever without the look into it', () => {
    const without = ['registryFallback', 'registryResync'] as const;

    expect(mergeAfterCut({ memberTable: false, without })).toBe(NEVER);
  });
});

describe('5.21: a ring of two', () => {
  test.each(['crash', 'freeze'] as const)('goes on without the other one (%s)', (how) => {
    const { simulation, nodes, at } = smallRing(2);
    simulation[how](at(1));
    const keys = nodes.map(({ member }) => member.id);

    const ms = untilAllRight(simulation, { keys, limitMs: 30_000, askers: [at(0)] });

    expect(ms).toBeLessThan(10_000);
    expect(isAlone(at(0).state)).toBe(true);
  });

  test.each(['crash', 'freeze'] as const)('does not go on by itself while nobody can decide (%s)', (how) => {
    const { simulation, at } = smallRing(2);
    simulation.runUntil(simulation.nowMs + 1_000);
    simulation.registry.isAvailable = false;
    simulation.freeze(at(0));
    simulation.runUntil(simulation.nowMs + 5_000);
    simulation[how](at(1));
    simulation.thaw(at(0));

    simulation.runUntil(simulation.nowMs + 60_000);

    expect(isAlone(at(0).state)).toBe(false);
  });

  test('would have two owners of everything without leases', () => {
    const { simulation, at } = smallRing(2, { without: ['leases'], isWatched: true });
    simulation.freeze(at(1));

    expect(() => simulation.runUntil(simulation.nowMs + 60_000)).toThrow('I6');
  });
});
