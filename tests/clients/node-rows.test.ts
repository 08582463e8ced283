import { expect, test } from 'vitest';
import { showByteSize } from '../../clients/byte-size.ts';
import { type KnownNode, nodeRows } from '../../clients/node-rows.ts';
import { parseTimeSpan, showTimeSpan } from '../../clients/time-span.ts';
import { memberKey, parseMember, usageAttribute } from '../../domain/member-record.ts';
import type { NodeUsage } from '../../domain/node-usage.ts';

const NOW_MS = 1_000_000;
const MIB = 2 ** 20;

/** As it comes back from the table that a node has written it to. */
function member(usage: NodeUsage | undefined, state = 'ACTIVE') {
  return parseMember({
    ...memberKey('dev', 'i-1'),
    ...{ state, position: '9f555555', privateIp: '10.0.0.1', heartbeatMs: NOW_MS - 2_000 },
    ...(usage === undefined ? {} : { usage: usageAttribute(usage) }),
  });
}

const usage: NodeUsage = {
  usedBytes: 48 * MIB,
  capacityBytes: 64 * MIB,
  fileCount: 12,
  predecessorId: undefined,
  successorId: undefined,
  arcWeights: [],
};
const node: KnownNode = {
  instanceId: 'i-1',
  lifecycleState: 'InService',
  privateIp: '10.0.0.1',
  publicIp: '3.3.3.3',
  member: member(usage),
};
/** The cells of a node by their headings. */
function shown(what: KnownNode): Record<string, string | undefined> {
  const [headings = [], cells = []] = nodeRows([what], NOW_MS);
  return Object.fromEntries(headings.map((heading, i) => [heading, cells[i]]));
}

test('a member is shown with both its states, its place, its disk and when it was last heard of', () => {
  expect(shown(node)).toEqual({
    ...{ INSTANCE: 'i-1', GROUP: 'InService', MEMBER: 'ACTIVE', 'RING ID': '9f555555' },
    ...{ PRIVATE: '10.0.0.1', PUBLIC: '3.3.3.3', DISK: '75 % of 64 MiB', FILES: '12' },
    ...{ SEEN: '2.0 s ago', MOVING: '-' },
  });
});

test('while its files move it says how much is left, how fast, and for how long', () => {
  const movement = { state: 'pulling', bytesLeft: 120 * MIB, bytesPerSecond: 40 * MIB, etaMs: 3_000 };
  expect(shown({ ...node, member: member({ ...usage, movement }, 'JOINING') })).toMatchObject({
    MEMBER: 'JOINING',
    MOVING: 'pulling: 120 MiB left, 40 MiB/s, 3.0 s to go',
  });
  const stuck = { state: 'waiting', bytesLeft: 5, bytesPerSecond: 0, etaMs: undefined };
  expect(shown({ ...node, member: member({ ...usage, movement: stuck }) })).toMatchObject({
    MOVING: 'waiting: 5 B left, 0 B/s',
  });
  const unknown = { state: 'comparing', bytesLeft: 0, bytesPerSecond: 0, etaMs: undefined };
  expect(shown({ ...node, member: member({ ...usage, movement: unknown }) })).toMatchObject({
    MOVING: 'comparing',
  });
});

test('an instance without a row, and a row without an instance, are seen as what they are', () => {
  expect(shown({ ...node, member: undefined })).toMatchObject({ MEMBER: '-', DISK: '-', SEEN: '-' });
  const ghost = { ...node, lifecycleState: undefined, privateIp: undefined, publicIp: undefined };
  expect(shown({ ...ghost, member: member(undefined) })).toMatchObject({
    ...{ GROUP: '-', MEMBER: 'ACTIVE', PRIVATE: '10.0.0.1', PUBLIC: '-', DISK: '-' },
  });
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1.5 * MIB, '1.5 MiB'],
  [256 * MIB, '256 MiB'],
  [8 * 2 ** 30, '8 GiB'],
])('%d bytes are shown as %s', (bytes, text) => {
  expect(showByteSize(bytes)).toBe(text);
});

test.each([
  [850, '850 ms'],
  [3_200, '3.2 s'],
  [59_400, '59 s'],
  [600_000, '10 min'],
  [7_200_000, '2 h'],
  [3 * 86_400_000, '3 d'],
])('%d ms are shown as %s', (ms, text) => {
  expect(showTimeSpan(ms)).toBe(text);
});

test('a span is a whole number with its unit, and nothing else', () => {
  expect(['90s', '30m', '2h', '3d'].map(parseTimeSpan)).toEqual([90_000, 1_800_000, 7_200_000, 259_200_000]);
  for (const text of ['', '5', 'h', '1.5h', '-1h', '2 h', '1w']) expect(parseTimeSpan(text)).toBeUndefined();
});
