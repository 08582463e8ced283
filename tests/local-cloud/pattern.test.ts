import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePattern } from '../../local/event-bridge/pattern.ts';

const event = {
  source: 'aws.autoscaling',
  'detail-type': 'EC2 Instance-launch Lifecycle Action',
  resources: ['arn:a', 'arn:b'],
  detail: {
    AutoScalingGroupName: 'chordfs-dev',
    Origin: 'EC2',
    count: 5,
    flag: true,
    nothing: null,
    ip: '10.1.2.3',
    nested: {
      deep: [
        { name: 'x', size: 1 },
        { name: 'y', size: 2 },
      ],
    },
  },
};

function matches(detail: unknown): boolean {
  return compilePattern({ detail })(event);
}

describe('an event pattern', () => {
  test.each([
    ['an exact value among several', { Origin: ['WarmPool', 'EC2'] }, true],
    ['another value', { Origin: ['WarmPool'] }, false],
    ['a number by its value', { count: [5] }, true],
    ['a number written as text', { count: ['5'] }, false],
    ['a boolean', { flag: [true] }, true],
    ['null', { nothing: [null] }, true],
    ['a prefix', { AutoScalingGroupName: [{ prefix: 'chordfs-' }] }, true],
    ['a prefix in another case', { AutoScalingGroupName: [{ prefix: 'CHORDFS' }] }, false],
    [
      'a prefix whatever the case',
      { AutoScalingGroupName: [{ prefix: { 'equals-ignore-case': 'CHORDFS' } }] },
      true,
    ],
    ['a suffix', { AutoScalingGroupName: [{ suffix: '-dev' }] }, true],
    ['a wildcard', { AutoScalingGroupName: [{ wildcard: 'ch*-*v' }] }, true],
    ['a wildcard that ends too early', { AutoScalingGroupName: [{ wildcard: 'ch*-' }] }, false],
    ['equals-ignore-case', { Origin: [{ 'equals-ignore-case': 'ec2' }] }, true],
    ['a numeric range', { count: [{ numeric: ['>', 4, '<=', 5] }] }, true],
    ['outside the range', { count: [{ numeric: ['>', 5] }] }, false],
    ['a cidr', { ip: [{ cidr: '10.1.0.0/16' }] }, true],
    ['another cidr', { ip: [{ cidr: '10.2.0.0/16' }] }, false],
    ['a cidr against text', { Origin: [{ cidr: '10.2.0.0/16' }] }, false],
    ['anything-but', { Origin: [{ 'anything-but': ['WarmPool'] }] }, true],
    ['anything-but itself', { Origin: [{ 'anything-but': 'EC2' }] }, false],
    ['anything-but of a field that is absent', { missing: [{ 'anything-but': 'x' }] }, false],
    ['anything-but a prefix', { Origin: [{ 'anything-but': { prefix: 'Warm' } }] }, true],
    ['a field that exists', { Origin: [{ exists: true }] }, true],
    ['a field that does not', { missing: [{ exists: false }] }, true],
    ['a field that exists and must not', { Origin: [{ exists: false }] }, false],
    ['one object of a list', { nested: { deep: { name: ['y'] } } }, true],
    ['no object of a list', { nested: { deep: { name: ['z'] } } }, false],
    ['one branch of $or', { $or: [{ Origin: ['WarmPool'] }, { count: [{ numeric: ['=', 5] }] }] }, true],
    ['$or beside a field that fails', { flag: [false], $or: [{ Origin: ['EC2'] }, { count: [5] }] }, false],
  ])('decides about %s', (_, detail, expected) => {
    expect(matches(detail)).toBe(expected);
  });

  test('matches when one element of a list in the event does', () => {
    expect(compilePattern({ resources: ['arn:b'] })(event)).toBe(true);
    expect(compilePattern({ resources: ['arn:c'] })(event)).toBe(false);
  });

  test.each([
    ['a bare value', { source: 'aws.ec2' }],
    ['an empty list', { source: [] }],
    ['an empty object', {}],
    ['an unknown filter', { source: [{ like: 'x' }] }],
    ['two filters in one object', { source: [{ prefix: 'a', suffix: 'b' }] }],
    ['half a numeric range', { a: [{ numeric: ['>'] }] }],
    ['a malformed cidr', { a: [{ cidr: '10.0.0/99' }] }],
    ['text that is not JSON', '{'],
    ['$or with one branch', { $or: [{ a: [1] }] }],
  ])('is refused with %s, as PutRule does', (_, pattern) => {
    expect(() => compilePattern(pattern)).toThrow(/Event pattern is not valid/);
  });

  test('built from an event matches that event and not one with another value', () => {
    const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean());
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), scalar, { minKeys: 1 }), (detail) => {
        const pattern = Object.fromEntries(Object.entries(detail).map(([name, value]) => [name, [value]]));
        const matcher = compilePattern({ detail: pattern });
        const [[name] = ['']] = Object.entries(detail);

        expect(matcher({ detail })).toBe(true);
        expect(matcher({ detail: { ...detail, [name]: 'a value that no generator makes' } })).toBe(false);
      }),
    );
  });
});
