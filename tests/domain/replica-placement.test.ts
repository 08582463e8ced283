/** Where copies live: 5.29 of docs/protocol.md, two copies on one machine at the end of the circle. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { REPLICA_COUNT } from '../../domain/file-record.ts';
import { identifier } from '../../domain/identifier.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';

const LAST_KEY = 2 ** 32 - 1;

/** With the ends of the circle among the places, where the list goes round. */
const places = fc.uniqueArray(fc.oneof(fc.nat(LAST_KEY), fc.constantFrom(0, 1, LAST_KEY)), {
  minLength: 1,
  maxLength: 12,
});
const phases = fc.array(fc.constantFrom('active', 'draining', 'joining', 'left'), {
  minLength: 12,
  maxLength: 12,
});

function membersAt(ids: readonly number[], phasesOf: readonly RingMember['phase'][]): readonly RingMember[] {
  return ids.map((id, i) => ({
    id: identifier(id),
    instanceId: `i-${i}`,
    incarnation: 1,
    privateIp: '',
    publicIp: '',
    chordPort: 0,
    httpPort: 0,
    availabilityZone: '',
    phase: phasesOf[i] ?? 'active',
  }));
}

test('5.29: copies of one key are on as many machines as there are copies, all round the circle', () => {
  fc.assert(
    fc.property(places, phases, fc.nat(LAST_KEY), (ids, phasesOf, key) => {
      const members = membersAt(ids, phasesOf);
      const serving = members.filter(({ phase }) => phase === 'active' || phase === 'draining').length;
      for (const at of [key, 0, LAST_KEY, ...ids]) {
        const { current, next, writeSet, standIns } = replicasOf(identifier(at), members);
        for (const set of [current, next, [...writeSet, ...standIns]]) {
          expect(new Set(set.map(({ instanceId }) => instanceId)).size).toBe(set.length);
        }
        expect(current).toHaveLength(Math.min(REPLICA_COUNT, serving));
      }
    }),
  );
});
