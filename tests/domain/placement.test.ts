import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlacementMember } from '../../domain/arc-loads.ts';
import { byteMap } from '../../domain/byte-map.ts';
import { REPLICA_COUNT } from '../../domain/file-record.ts';
import { clockwiseDistance, type Identifier, identifier, RING_SIZE } from '../../domain/identifier.ts';
import { choosePosition } from '../../domain/placement.ts';

const GIB = 2 ** 30;

function empty(id: number): PlacementMember {
  return { id: identifier(id), capacityBytes: GIB, arcWeights: [] };
}

/** Members whose primary bytes are the given numbers, evenly spread over each arc. */
function filled(
  entries: readonly (readonly [id: number, bytes: number])[],
  capacityBytes = GIB,
): PlacementMember[] {
  return entries.map(([id, bytes]) => ({
    id: identifier(id),
    capacityBytes,
    arcWeights: [{ upTo: identifier(id), bytes }],
  }));
}

/** The slow, obvious oracle: what the fullest member stores, relative to capacity, with a newcomer at `position`. */
function mostStored(
  members: readonly PlacementMember[],
  position: Identifier | undefined,
  capacityBytes = GIB,
): number {
  const map = byteMap(members);
  const everybody = [
    ...members.map(({ id, capacityBytes: capacity }) => ({ id, capacity })),
    ...(position === undefined ? [] : [{ id: position, capacity: capacityBytes }]),
  ].sort((a, b) => a.id - b.id);
  const count = everybody.length;
  const at = (index: number) =>
    everybody[((index % count) + count) % count] ?? { id: identifier(0), capacity: 1 };
  const arc = (index: number) => map.bytesIn(at(index - 1).id, at(index).id);
  return Math.max(
    ...everybody.map(({ capacity }, index) => {
      let stored = 0;
      for (let back = 0; back < Math.min(REPLICA_COUNT, count); back++) stored += arc(index - back);
      return stored / capacity;
    }),
  );
}

const distinctIds = (min: number, max: number) =>
  fc.uniqueArray(fc.integer({ min: 0, max: RING_SIZE - 1 }), { minLength: min, maxLength: max });

/** Far enough apart that a split to the nearest whole identifier is as good as an exact one. */
const distantIds = (min: number, max: number) =>
  distinctIds(min, max).map((ids) => [...new Set(ids.map((id) => id - (id % 2 ** 22)))]);

test('without bytes the newcomer halves the widest arc, and the arcs stay within a factor of two', () => {
  const members: PlacementMember[] = [];
  for (let count = 0; count < 64; count++) {
    const position = choosePosition({ members });
    expect(position).toBeDefined();
    members.push(empty(position ?? 0));
    if (members.length < 2) continue;
    const ids = members.map(({ id }) => id).sort((a, b) => a - b);
    const arcs = ids.map((id, index) => clockwiseDistance(ids.at(index - 1) ?? id, id));
    expect(Math.max(...arcs) / Math.min(...arcs)).toBeLessThanOrEqual(2.01);
  }
});

test('the position is new, and nobody else has it, whatever the ring looks like', () => {
  fc.assert(
    fc.property(distinctIds(1, 20), fc.array(fc.nat(GIB), { minLength: 20, maxLength: 20 }), (ids, bytes) => {
      const members = filled(ids.map((id, index) => [id, bytes[index] ?? 0]));
      const position = choosePosition({ members });
      if (position === undefined) return;
      expect(ids).not.toContain(position);
      expect(choosePosition({ members: [...members].reverse() })).toBe(position);
      const second = choosePosition({ members, taken: new Set([position]) });
      expect(second).not.toBe(position);
    }),
  );
});

test('no position that a dense search tries leaves the fullest member with less', () => {
  fc.assert(
    fc.property(
      distantIds(1, 9),
      // Enough that they are not negligible: below that, space is divided and bytes do not count.
      fc.array(fc.integer({ min: GIB / 64, max: GIB }), { minLength: 9, maxLength: 9 }),
      (ids, bytes) => {
        const members = filled(ids.map((id, index) => [id, bytes[index] ?? 0]));
        const position = choosePosition({ members });
        if (position === undefined) return;
        const chosen = mostStored(members, position);
        for (let step = 0; step < 512; step++) {
          const other = identifier(step * (RING_SIZE / 512) + 7);
          if (ids.includes(other)) continue;
          expect(chosen).toBeLessThanOrEqual(mostStored(members, other) * (1 + 1e-6) + 1e-9);
        }
      },
    ),
    // A counterexample is worth a few seconds of shrinking, not minutes: every step is a dense search.
    { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true },
  );
});

test('of four members with one full arc the newcomer takes bytes off the fullest', () => {
  const members = filled([
    [0x20000000, 100],
    [0x60000000, 900_000_000],
    [0xa0000000, 100],
    [0xe0000000, 100],
  ]);

  const position = choosePosition({ members }) ?? identifier(0);

  expect(mostStored(members, position)).toBeLessThan(mostStored(members, undefined));
});

test('a member with twice the capacity may store twice as much', () => {
  const small = filled([
    [0x40000000, 400_000_000],
    [0x80000000, 400_000_000],
    [0xc0000000, 400_000_000],
    [0xffffffff, 400_000_000],
  ]);
  const plain = choosePosition({ members: small });
  const large = choosePosition({ members: small, newcomerCapacityBytes: 8 * GIB });

  expect(mostStored(small, large, 8 * GIB)).toBeLessThanOrEqual(mostStored(small, plain, 8 * GIB) + 1e-9);
});

test('claims without bytes split the arcs for the next newcomer', () => {
  const members = filled([[0, 500_000_000]]);
  const first = choosePosition({ members }) ?? identifier(0);
  const second = choosePosition({ members: [...members, empty(first)], taken: new Set([first]) });

  expect(second).toBeDefined();
  expect(second).not.toBe(first);
});

test('the byte map finds every byte exactly once, also across zero', () => {
  fc.assert(
    fc.property(distinctIds(2, 12), fc.nat(RING_SIZE - 1), (ids, cut) => {
      const map = byteMap(filled(ids.map((id) => [id, 1000])));
      const point = identifier(cut);
      const half = identifier(cut + RING_SIZE / 2);

      expect(map.totalBytes).toBeCloseTo(1000 * ids.length, 3);
      expect(map.bytesIn(point, half) + map.bytesIn(half, point)).toBeCloseTo(map.totalBytes, 3);
    }),
  );
});
