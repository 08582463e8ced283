import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PlacementMember } from '../../domain/arc-loads.ts';
import { identifier, RING_SIZE } from '../../domain/identifier.ts';
import { choosePosition, mostStoredAt } from '../../domain/placement.ts';
import { sharedZoneWindows } from '../../domain/zone-spread.ts';

const GIB = 2 ** 30;
/** How much fuller the fullest may become for the sake of copies in several zones: as placement promises. */
const TOLERANCE = 0.15;

/** Members at even distances in these zones. */
function inZones(zones: string) {
  const width = RING_SIZE / zones.length;
  return [...zones].map((availabilityZone, i) => ({ id: identifier(i * width), availabilityZone }));
}

/** The same, holding these shares of their volumes. */
function holding(zones: string, percents: readonly number[]): PlacementMember[] {
  return inZones(zones).map((member, i) => ({
    ...member,
    capacityBytes: GIB,
    arcWeights: [{ upTo: member.id, bytes: ((percents[i] ?? 0) / 100) * GIB }],
  }));
}

const windowsAt = (members: readonly PlacementMember[], position: number, availabilityZone: string) =>
  sharedZoneWindows(members, { id: identifier(position), availabilityZone });

describe('arcs whose every copy lies in one zone', () => {
  test.each([
    ['aaaa', 'a', 0],
    ['abcabc', 'a', 0],
    ['aabb', 'c', 0],
    ['aaabbb', 'c', 1],
    ['aaaab', 'b', 1],
    ['aaaaab', 'a', 4],
    ['ab', 'a', 0],
  ])('%s and a newcomer in %s behind the first: %i', (zones, newcomer, count) => {
    const position = identifier(RING_SIZE / zones.length / 2);
    const after = sharedZoneWindows(inZones(zones), { id: position, availabilityZone: newcomer });
    const byHand = zones[0] + newcomer + zones.slice(1);
    expect(after).toBe(new Set(byHand).size < 2 ? 0 : windowsByHand(byHand));
    expect(after).toBe(count);
  });

  function windowsByHand(zones: string): number {
    const round = zones + zones;
    return [...zones].filter((zone, i) => round.slice(i, i + 3) === zone.repeat(3)).length;
  }
});

describe('the place of a newcomer', () => {
  test('among places that relieve the ring alike, it is one that leaves no arc with all copies in one zone', () => {
    // Everywhere the same bytes; only beside the two of zone b does a third a not make three in a row.
    const members = holding('aabaab', [20, 20, 20, 20, 20, 20]);
    const position = choosePosition({ members, newcomerZone: 'a' }) ?? -1;
    expect(windowsAt(members, position, 'a')).toBe(
      Math.min(...members.map(({ id }) => windowsAt(members, id - RING_SIZE / 12, 'a'))),
    );
    const other = choosePosition({ members, newcomerZone: 'b' }) ?? -1;
    expect(windowsAt(members, other, 'b')).toBe(0);
  });

  test('of arcs with the same bytes it splits the one where three copies in a row would be in its own zone least', () => {
    // Anywhere else a third a would stand beside two.
    const members = holding('aabb', [20, 20, 20, 20]);
    const position = choosePosition({ members, newcomerZone: 'a' }) ?? -1;
    expect(position).toBeGreaterThan(RING_SIZE / 2);
    expect(position).toBeLessThan((RING_SIZE * 3) / 4);
  });

  test('no zone is worth a fullest member that is left with much more', () => {
    const members = holding('aaaabbbb', [30, 30, 30, 1, 1, 1, 1, 1]);
    const blind = choosePosition({ members: members.map((m) => ({ ...m, availabilityZone: 'a' })) }) ?? -1;
    const position = choosePosition({ members, newcomerZone: 'a' }) ?? -1;
    const most = (place: number) => mostStoredAt(identifier(place), { members, newcomerZone: 'a' });
    expect(most(position)).toBeLessThanOrEqual(most(blind) * (1 + TOLERANCE) + 1e-9);
  });

  test('whatever the ring: never fuller than the tolerance allows, never less spread than without a look at zones', () => {
    const rings = fc.array(
      fc.record({ zone: fc.constantFrom('a', 'b', 'c'), percent: fc.integer({ min: 1, max: 40 }) }),
      { minLength: 2, maxLength: 12 },
    );
    fc.assert(
      fc.property(rings, fc.constantFrom('a', 'b', 'c'), (ring, newcomerZone) => {
        const members = holding(
          ring.map(({ zone }) => zone).join(''),
          ring.map(({ percent }) => percent),
        );
        const blind =
          choosePosition({ members: members.map((m) => ({ ...m, availabilityZone: 'a' })) }) ?? -1;
        const position = choosePosition({ members, newcomerZone }) ?? -1;
        const most = (place: number) => mostStoredAt(identifier(place), { members, newcomerZone });
        expect(most(position)).toBeLessThanOrEqual(most(blind) * (1 + TOLERANCE) * (1 + 1e-6));
        expect(windowsAt(members, position, newcomerZone)).toBeLessThanOrEqual(
          windowsAt(members, blind, newcomerZone),
        );
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});
