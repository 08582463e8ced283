import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Identifier, identifier, inArc } from '../../domain/identifier.ts';
import type { MemberPhase } from '../../domain/member.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import { foreignArcs, heldArcs, SyncedArcs, splitArc } from '../../node/movement/arcs.ts';
import { testMember } from '../files/cluster.ts';

const point = fc.nat(0xffffffff).map((value) => identifier(value));
const arc = fc.record({ from: point, to: point });
const phase = fc.constantFrom<MemberPhase>('active', 'active', 'joining', 'draining');
const ring = fc
  .uniqueArray(fc.record({ id: point, phase }), { selector: ({ id }) => id, minLength: 1, maxLength: 12 })
  .map((members) =>
    members
      .map(({ id, phase }, i): RingMember => ({ ...testMember(`m${i}`, id), phase }))
      .sort((a, b) => a.id - b.id),
  );

function covering(arcs: readonly { from: Identifier; to: Identifier }[], key: Identifier): number {
  return arcs.filter(({ from, to }) => inArc(key, from, to)).length;
}

describe('arcs', () => {
  test('held ones are those with this node among the replicas; with the foreign ones they are the whole circle', () => {
    fc.assert(
      fc.property(ring, fc.nat(), point, (members, turn, key) => {
        const self = members[turn % members.length];
        if (self === undefined) return;
        const held = heldArcs({ members, self }).map((each) => each.arc);
        const foreign = foreignArcs({ members, self }).map((each) => each.arc);
        const isReplica = replicasOf(key, members).writeSet.some(
          ({ instanceId }) => instanceId === self.instanceId,
        );

        expect(covering(held, key)).toBe(isReplica ? 1 : 0);
        expect(covering([...held, ...foreign], key)).toBe(1);
      }),
      { numRuns: 2_000 },
    );
  });

  test('parts of an arc hold each of its keys once', () => {
    fc.assert(
      fc.property(arc, fc.integer({ min: 1, max: 20 }), point, (whole, count, key) => {
        const parts = splitArc(whole, count);

        expect(parts.length).toBeLessThanOrEqual(count);
        expect(covering(parts, key)).toBe(inArc(key, whole.from, whole.to) ? 1 : 0);
      }),
      { numRuns: 2_000 },
    );
  });

  test('an arc is covered when every key of it is', () => {
    const small = fc.nat(15).map((value) => identifier(value));
    const smallArc = fc.record({ from: small, to: small });
    fc.assert(
      fc.property(fc.array(smallArc, { maxLength: 5 }), smallArc, (marked, asked) => {
        const synced = new SyncedArcs();
        for (const each of marked) synced.mark(each);
        // Keys beyond the small ones, and one between the end of the circle and its beginning, stand for the rest.
        const keys = [...Array.from({ length: 18 }, (_, i) => identifier(i)), identifier(0xffffffff)];
        const isCovered = keys
          .filter((key) => inArc(key, asked.from, asked.to))
          .every((key) => covering(marked, key) > 0);

        expect(synced.covers(asked)).toBe(isCovered);
      }),
      { numRuns: 5_000 },
    );
  });
});
