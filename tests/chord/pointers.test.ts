/** Lists and predecessors on the circle, at its boundaries, and in rings smaller than the list (facts of rings #786). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clockwiseDistance, type Identifier, identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { ALL_CORRECTIONS } from '../../node/chord/config.ts';
import { NO_POINTERS, rectify, successorListFrom } from '../../node/chord/ring-pointers.ts';

const LAST = identifier(2 ** 32 - 1);
const anyId = fc
  .oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1))
  .map(identifier);

function memberAt(id: Identifier): Member {
  return {
    id,
    instanceId: `i-${id}`,
    incarnation: 1,
    privateIp: '10.0.0.1',
    publicIp: '10.0.0.1',
    chordPort: 5057,
    httpPort: 5058,
    availabilityZone: 'a',
  };
}

describe('arcs', () => {
  test.each([
    ['the key that is the node id is its own', identifier(7), identifier(3), identifier(7), true],
    ['the key that is the predecessor id is not', identifier(3), identifier(3), identifier(7), false],
    ['0 lies after the last id', identifier(0), LAST, identifier(5), true],
    ['the last id lies before 0', LAST, identifier(9), identifier(0), true],
    ['the last id is its own', LAST, identifier(0), LAST, true],
    ['a member alone owns every key', identifier(123), identifier(7), identifier(7), true],
  ] as const)('%s', (_claim, key, from, to, expected) => {
    expect(inArc(key, from, to)).toBe(expected);
  });

  test('agree with walking round the circle, wherever they begin', () => {
    fc.assert(
      fc.property(anyId, anyId, anyId, (key, from, to) => {
        const isInside = from === to || (key !== from && (key - from) >>> 0 <= (to - from) >>> 0);
        expect(inArc(key, from, to)).toBe(isInside);
        expect(inOpenArc(key, from, to)).toBe(isInside && key !== to && key !== from);
      }),
    );
  });
});

describe('a successor list', () => {
  test('holds the next min(r, N - 1) others, in order, when taken from the successor of an ideal ring', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyId, { minLength: 2, maxLength: 12 }),
        fc.integer({ min: 1, max: 8 }),
        (ids, r) => {
          const members = [...ids].sort((a, b) => a - b).map(memberAt);
          const [self, head, ...rest] = members;
          if (self === undefined || head === undefined) return;
          // What the successor itself lists: everybody after it, round to it, at most r.
          const theirs = [...rest, self].slice(0, r);

          const list = successorListFrom(head, theirs, { self, length: r, corrections: ALL_CORRECTIONS });

          expect(list).toEqual([head, ...rest].slice(0, Math.min(r, members.length - 1)));
        },
      ),
    );
  });

  test('never holds self or anybody twice, whatever a peer says', () => {
    fc.assert(
      fc.property(anyId, anyId, fc.array(anyId, { maxLength: 20 }), (selfId, headId, others) => {
        const self = memberAt(selfId);
        const rules = { self, length: 8, corrections: ALL_CORRECTIONS };

        const list = successorListFrom(memberAt(headId), others.map(memberAt), rules);

        const distances = list.map(({ id }) => clockwiseDistance(selfId, id));
        expect(distances).toEqual([...new Set(distances)].sort((a, b) => a - b));
        expect(distances).not.toContain(0);
      }),
    );
  });

  test('would hold self without the cut', () => {
    const [self, other] = [memberAt(identifier(1)), memberAt(identifier(2))];
    const corrections = { ...ALL_CORRECTIONS, truncateAtSelf: false };

    expect(successorListFrom(other, [self], { self, length: 8, corrections })).toEqual([other, self]);
  });
});

describe('rectify', () => {
  const [far, near, self] = [memberAt(identifier(10)), memberAt(identifier(20)), memberAt(identifier(30))];
  const pointers = { ...NO_POINTERS, predecessor: near };

  test('leaves a predecessor alone that is nearer than the notifier', () => {
    expect(rectify(pointers, far, self, true)).toBe(pointers);
  });

  test('takes a farther notifier when the predecessor is dead', () => {
    expect(rectify({ ...pointers, predecessorIsDead: true }, far, self, true).predecessor).toBe(far);
  });

  test('never takes self', () => {
    expect(rectify(pointers, self, self, false)).toBe(pointers);
  });

  test('would give the nearer one up without its check', () => {
    expect(rectify(pointers, far, self, false).predecessor).toBe(far);
  });
});
