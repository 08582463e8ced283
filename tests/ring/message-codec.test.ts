import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import type { Answer, Request } from '../../node/chord/message.ts';
import { answerCodec, memberCodec, requestCodec } from '../../node/ring/message-codec.ts';
import { MalformedError } from '../../node/rpc/wire-codec.ts';

const id = fc.nat(2 ** 32 - 1).map(identifier);
const member = fc.record({
  id,
  instanceId: fc.string({ maxLength: 20 }),
  incarnation: fc.nat(),
  privateIp: fc.ipV4(),
  publicIp: fc.ipV4(),
  chordPort: fc.nat(65_535),
  httpPort: fc.nat(65_535),
  availabilityZone: fc.string({ maxLength: 20 }),
});
const phase = fc.constantFrom('joining', 'active', 'draining', 'left');
const ringMember = fc.tuple(member, phase).map(([each, of]) => ({ ...each, phase: of }));
const grant = fc.option(
  fc.record({
    member,
    arcFrom: fc.option(id, { nil: undefined }),
    // -0 is the one duration that the wire does not tell from another, 0.
    leaseMs: fc.double({ noNaN: true, min: -1e6, max: 1e6 }).map((ms) => ms + 0),
    rightMs: fc.nat(),
  }),
  { nil: undefined },
);

const requests: fc.Arbitrary<Request> = fc.oneof(
  fc.constant({ kind: 'ping' } as const),
  member.map((target) => ({ kind: 'pingVia', target }) as const),
  fc.record({
    kind: fc.constant('stabilize' as const),
    from: ringMember,
    notify: fc.boolean(),
    knownDigest: fc.nat(),
    lease: fc.option(fc.record({ arcFrom: id, sequence: fc.nat(), grantee: grant }), { nil: undefined }),
    changes: fc.array(ringMember, { maxLength: 4 }),
    tableDigest: fc.integer(),
  }) as unknown as fc.Arbitrary<Request>,
  fc.record({
    kind: fc.constant('lookup' as const),
    key: id,
    suspects: fc.array(fc.string({ maxLength: 9 })),
  }),
  fc.record({ kind: fc.constant('admit' as const), from: member, fence: fc.nat() }),
);

const answers: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ kind: fc.constant('mine' as const), self: ringMember }),
  fc.record({ kind: fc.constant('redirect' as const), to: fc.array(ringMember, { maxLength: 9 }) }),
  fc.record({ kind: fc.constant('notReady' as const), self: member, isResuming: fc.boolean() }),
  fc.record({ kind: fc.constant('done' as const) }),
) as fc.Arbitrary<Answer>;

describe('the core’s messages on the wire', () => {
  test('come back as they were sent', () => {
    fc.assert(
      fc.property(requests, (request) => {
        expect(requestCodec.decode(decode(encode(requestCodec.encode(request))))).toEqual(request);
      }),
    );
    fc.assert(
      fc.property(answers, (answer) => {
        expect(answerCodec.decode(decode(encode(answerCodec.encode(answer))))).toEqual(answer);
      }),
    );
  });

  test('are refused by their shape, never by a crash, when anything else comes', () => {
    fc.assert(
      fc.property(fc.anything({ withTypedArray: true, maxDepth: 4 }), (value) => {
        for (const codec of [requestCodec, answerCodec]) {
          try {
            codec.decode(value);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('are refused when a field of a good message is anything else', () => {
    fc.assert(
      fc.property(
        requests,
        fc.nat(),
        fc.constantFrom(null, -1, 0.5, 2 ** 53, 'x'.repeat(500), [[]], {}),
        (request, at, odd) => {
          const wire = requestCodec.encode(request) as unknown[];
          wire[at % wire.length] = odd;
          try {
            requestCodec.decode(wire);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedError);
          }
        },
      ),
    );
  });

  test('hold no member with an identifier outside the circle or a port that is none', () => {
    const good = fc.sample(member, 1)[0];
    if (good === undefined) throw new Error('no sample');
    for (const bad of [{ id: 2 ** 32 }, { id: -1 }, { chordPort: 65_536 }, { incarnation: 0.5 }]) {
      const wire = memberCodec.encode({ ...good, ...bad } as never);
      expect(() => memberCodec.decode(wire)).toThrow(MalformedError);
    }
  });
});
