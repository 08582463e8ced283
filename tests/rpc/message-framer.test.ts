import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FramingError, MessageFramer } from '../../node/rpc/message-framer.ts';

const LIMITS = { maxMessageBytes: 1_024, maxDepth: 6 };

function frames(framer: MessageFramer, chunk: Buffer): Buffer[] {
  framer.push(chunk);
  const found: Buffer[] = [];
  for (let next = framer.next(); next !== undefined; next = framer.next()) found.push(Buffer.from(next));
  return found;
}

const leaf = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ maxLength: 5 }), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe('MessageFramer', () => {
  test('finds every message wherever the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(40), { minLength: 1 }),
        (values, cuts) => {
          const messages = values.map((each) => Buffer.from(encode(each)));
          fc.pre(messages.every(({ length }) => length <= LIMITS.maxMessageBytes));
          const stream = Buffer.concat(messages);
          const framer = new MessageFramer(LIMITS);

          const found: Buffer[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = 1 + (cuts[i % cuts.length] ?? 0);
            found.push(...frames(framer, stream.subarray(at, at + size)));
            at += size;
          }

          expect(found).toEqual(messages);
          expect(framer.bufferedBytes).toBe(0);
        },
      ),
    );
  });

  test.each([
    ['a 4 GiB string', 'dbffffffff'],
    ['a 4 GiB binary', 'c6ffffffff'],
    ['a 4 GiB extension', 'c9ffffffff01'],
    ['an array of 2^32-1 elements', 'ddffffffff'],
    ['a map of 2^32-1 entries', 'dfffffffff'],
    ['the byte that MessagePack never uses', 'c1'],
    ['a short array that goes on too long', `dc03e8${'cb0000000000000000'.repeat(200)}`],
  ])('refuses %s as soon as its header is there', (_, hex) => {
    expect(() => frames(new MessageFramer(LIMITS), Buffer.from(hex, 'hex'))).toThrow(FramingError);
  });

  test('refuses nesting beyond its depth and takes nesting up to it', () => {
    const nested = (depth: number): Buffer => Buffer.from(`${'91'.repeat(depth)}00`, 'hex');

    expect(frames(new MessageFramer(LIMITS), nested(LIMITS.maxDepth))).toHaveLength(1);
    expect(() => frames(new MessageFramer(LIMITS), nested(LIMITS.maxDepth + 1))).toThrow(FramingError);
  });

  test('never holds more than a message and a chunk, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 })), (chunks) => {
        const framer = new MessageFramer(LIMITS);
        for (const chunk of chunks) {
          try {
            frames(framer, Buffer.from(chunk));
          } catch (error) {
            expect(error).toBeInstanceOf(FramingError);
            return;
          }
          expect(framer.bufferedBytes).toBeLessThanOrEqual(LIMITS.maxMessageBytes);
        }
      }),
    );
  });
});
