/**
 * What "Chord: a scalable peer-to-peer lookup protocol for Internet applications" (IEEE/ACM Transactions on
 * Networking, 2003) claims, held by this core, by section. Small rings; the paper's own experiments (section V) are
 * `npm run bench:paper`.
 */
import { describe, expect, test } from 'vitest';
import { contactsPerLookup } from '../../bench/paper/path-length.ts';
import { QuietRing } from '../../bench/paper/quiet-ring.ts';
import { type Identifier, identifier, RING_SIZE } from '../../domain/identifier.ts';
import { choosePosition } from '../../domain/placement.ts';
import { DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { insideById, rightOwner } from '../simulation/oracle.ts';
import { untilAllRight } from '../simulation/until-right.ts';
import { NEVER, smallRing, untilIdeal } from './small-ring.ts';

/** Chord as published: one successor, fingers at every power of two, no member table. */
const AS_PUBLISHED = { ...DEFAULT_CONFIG, memberTable: false, fingerBits: 1, successorListLength: 1 };
const BY_FINGERS = { ...DEFAULT_CONFIG, memberTable: false };

function spreadKeys(count: number): readonly Identifier[] {
  return Array.from({ length: count }, (_, i) => identifier(Math.imul(i + 1, 0x9e3779b1) >>> 0));
}

describe('IV-B, theorem IV.1: consistent hashing', () => {
  test.each([3, 16, 50, 100])(
    'each of %i members is responsible for at most (1 + ε) K/N keys; here ε is 1, not O(log N)',
    (memberCount) => {
      const placed = new Set<Identifier>();
      for (let i = 0; i < memberCount; i++) {
        const id = choosePosition({
          members: [...placed].map((taken) => ({ id: taken, capacityBytes: 0, arcWeights: [] })),
        });
        if (id !== undefined) placed.add(id);
      }
      const ids = [...placed].sort((a, b) => a - b);
      expect(ids).toHaveLength(memberCount);
      const arcs = ids.map((id, i) => (id - (ids[(i + ids.length - 1) % ids.length] ?? 0)) >>> 0);

      expect(Math.max(...arcs)).toBeLessThanOrEqual((2 * RING_SIZE) / memberCount);
    },
  );

  test('when a member joins or leaves, only keys to or from it change hands', () => {
    const { simulation } = smallRing(8);
    const keys = spreadKeys(200);
    const owners = () => keys.map((key) => rightOwner(simulation, key)?.member.instanceId);
    const before = owners();
    const newcomer = simulation.addNode(identifier(3 * 2 ** 26), 'i-newcomer');
    simulation.join(newcomer);
    expect(untilIdeal(simulation)).toBeLessThan(30_000);
    expect(untilAllRight(simulation, { keys, limitMs: 30_000 })).toBeLessThan(NEVER);
    const changed = owners().filter((owner, i) => owner !== before[i]);
    expect(changed.length).toBeGreaterThan(0);
    expect(new Set(changed)).toEqual(new Set(['i-newcomer']));

    simulation.leave(newcomer);
    expect(simulation.runUntilTrue(() => newcomer.isGone, 30_000)).toBe(true);
    expect(untilAllRight(simulation, { keys, limitMs: 30_000 })).toBeLessThan(NEVER);
    expect(owners()).toEqual(before);
  });
});

describe('IV-D, theorem IV.2: a lookup contacts O(log N) members', () => {
  const SIZES = [16, 64, 256] as const;
  const meanOf = (memberCount: number, config: typeof DEFAULT_CONFIG) =>
    // The paper does not count the owner itself.
    contactsPerLookup({ memberCount, lookupCount: 400, seed: 4, config }).mean - 1;

  test.each(SIZES)('½ log N on the mean with fingers as published (N = %i)', (memberCount) => {
    expect(meanOf(memberCount, AS_PUBLISHED)).toBeLessThanOrEqual(0.5 * Math.log2(memberCount) + 0.3);
  });

  test.each(SIZES)('and fewer with lists of eight and coarser fingers (N = %i)', (memberCount) => {
    expect(meanOf(memberCount, BY_FINGERS)).toBeLessThan(0.5 * Math.log2(memberCount));
  });

  test.each(SIZES)('and the owner alone when every member knows all (N = %i)', (memberCount) => {
    expect(meanOf(memberCount, DEFAULT_CONFIG)).toBe(0);
  });
});

test('IV-E, theorem IV.3: after any joins, stabilization makes every successor pointer right', () => {
  const { simulation } = smallRing(1, { config: { memberTable: false } });
  for (const id of spreadKeys(7)) simulation.join(simulation.addNode(id));

  expect(simulation.runUntilTrue(() => insideById(simulation).length === 8, 120_000)).toBe(true);
  expect(untilIdeal(simulation)).toBeLessThan(60_000);
});

describe('IV-E3, theorem IV.4: N more members have joined since the fingers were looked up', () => {
  const contactsAmong = (oldCount: number, newcomerCount: number) =>
    contactsPerLookup({
      memberCount: oldCount + newcomerCount,
      newcomerCount,
      lookupCount: 400,
      seed: 6,
      config: { ...AS_PUBLISHED, hopBudget: 1_000 },
    });

  test.each([32, 128])('and lookups still contact O(log N) members (N = %i)', (n) => {
    const { mean, p99 } = contactsAmong(n, n);

    // ½ log N to the last member from before, one newcomer after it on the mean, and the owner.
    expect(mean).toBeLessThanOrEqual(0.5 * Math.log2(n) + 1 + 1 + 0.5);
    expect(p99).toBeLessThanOrEqual(2 * Math.log2(n) + 2);
  });

  test('it would not hold for fifteen times as many newcomers', () => {
    expect(contactsAmong(16, 240).mean).toBeGreaterThan(0.5 * Math.log2(256) + 1 + 1 + 0.5);
  });
});

describe('IV-E3, theorems IV.5 and IV.6: lists of r = 2 log N, and every member fails with probability ½', () => {
  const N = 128;
  function lookUpAmongDead(successorListLength: number) {
    const ring = new QuietRing({
      memberCount: N,
      seed: 8,
      config: { ...BY_FINGERS, successorListLength },
    });
    ring.kill(0.5);
    return Array.from({ length: 300 }, () => ring.lookUp());
  }

  test('every lookup reaches the closest living successor of its key, in O(log N)', () => {
    const routes = lookUpAmongDead(2 * Math.log2(N));

    expect(routes.filter(({ hasReachedOwner }) => !hasReachedOwner)).toEqual([]);
    const contacts = routes.reduce((sum, route) => sum + route.contacts, 0) / routes.length;
    expect(contacts).toBeLessThanOrEqual(Math.log2(N));
  });

  test('with a list of one, lookups fail', () => {
    expect(lookUpAmongDead(1).some(({ hasReachedOwner }) => !hasReachedOwner)).toBe(true);
  });

  test('r - 1 neighbours that fail at once leave a ring that closes, with nobody else to ask', () => {
    const { simulation, at } = smallRing(12, { config: { memberTable: false } });
    simulation.registry.isAvailable = false;
    for (let i = 1; i < simulation.config.successorListLength; i++) simulation.crash(at(i));

    expect(untilIdeal(simulation)).toBeLessThan(60_000);
  });
});

describe('IV-E4: a member that leaves on purpose', () => {
  test('hands its keys over and tells its neighbours: no lookup fails, and none meets a dead member', () => {
    const { simulation, at, nodes, keyOf } = smallRing(6);
    const leaver = at(2);
    simulation.leave(leaver);
    const lookups: number[] = [];
    const endMs = simulation.nowMs + 3_000;
    while (simulation.nowMs < endMs) {
      for (const node of nodes.filter((other) => other !== leaver)) {
        lookups.push(simulation.lookup(node, keyOf(2)));
      }
      simulation.runUntil(simulation.nowMs + 10);
    }
    simulation.runUntil(simulation.nowMs + 1_000);

    expect(leaver.isGone).toBe(true);
    const outcomes = lookups.map((lookupId) => simulation.lookups.get(lookupId));
    expect(outcomes.filter((outcome) => outcome?.kind !== 'found' || outcome.timeouts > 0)).toEqual([]);
    expect(at(1).state.pointers.successorList[0]?.instanceId).toBe(at(3).member.instanceId);
    expect(at(3).state.pointers.predecessor?.instanceId).toBe(at(1).member.instanceId);
  });
});
