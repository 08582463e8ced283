import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import type { MemberPhase } from '../../domain/member.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import { readQuorum, writeVerdict } from '../../node/files/write-quorum.ts';
import { testMember } from './cluster.ts';

const phase = fc.constantFrom<MemberPhase>('active', 'active', 'active', 'joining', 'draining');
const ring = fc
  .uniqueArray(fc.record({ id: fc.nat(1_000), phase }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 8,
  })
  .map((members): RingMember[] => members.map(({ id, phase }, i) => ({ ...testMember(`m${i}`, id), phase })));

function subsets<T>(items: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, i) => subsets(items.slice(i + 1), size - 1).map((rest) => [item, ...rest]));
}

describe('the write quorum', () => {
  test('an acknowledged write is known to every read quorum, before and after open joins and leaves end', () => {
    fc.assert(
      fc.property(ring, fc.nat(1_000), fc.infiniteStream(fc.boolean()), (members, key, coin) => {
        const replicas = replicasOf(identifier(key), members);
        const outcomes = new Map(
          replicas.writeSet.map(
            ({ instanceId }) => [instanceId, coin.next().value ? 'durable' : 'failed'] as const,
          ),
        );
        fc.pre(writeVerdict(replicas, outcomes) === 'acknowledge');

        for (const set of [replicas.current, replicas.next]) {
          for (const asked of subsets(set, Math.min(readQuorum(set.length), set.length))) {
            expect(
              asked.length === 0 || asked.some(({ instanceId }) => outcomes.get(instanceId) === 'durable'),
            ).toBe(true);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('waits while a replica has not answered, and refuses when nobody serves', () => {
    const members = [1, 2, 3].map((id): RingMember => ({ ...testMember(`m${id}`, id), phase: 'active' }));
    const replicas = replicasOf(identifier(1), members);

    expect(
      writeVerdict(
        replicas,
        new Map([
          ['m1', 'durable'],
          ['m2', 'durable'],
        ]),
      ),
    ).toBe('wait');
    expect(writeVerdict({ current: [], next: [], writeSet: [], standIns: [] }, new Map())).toBe('refuse');
  });
});
