import { expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import {
  isTerminal,
  MEMBER_STATES,
  mayBecome,
  PHASE_OF,
  parseMember,
  statesBefore,
  transition,
  usageAttribute,
} from '../../domain/member-record.ts';
import { timing } from '../../domain/timing.ts';

test('terminal states are final, and every other state can reach one', () => {
  expect(MEMBER_STATES.filter(isTerminal)).toEqual(['GONE', 'FAILED', 'DEAD']);
  for (const state of MEMBER_STATES) {
    if (isTerminal(state)) expect(MEMBER_STATES.filter((to) => mayBecome(state, to))).toEqual([]);
    else expect(MEMBER_STATES.some((to) => mayBecome(state, to) && isTerminal(to))).toBe(true);
  }
});

test('only a member that was ACTIVE can be lost or leave, only one that was not can fail', () => {
  expect(statesBefore('DEAD')).toEqual(['ACTIVE', 'LEAVING']);
  expect(statesBefore('LEAVING')).toEqual(['ACTIVE']);
  expect(statesBefore('FAILED')).toEqual(['PENDING', 'ASSIGNED', 'JOINING']);
  expect(statesBefore('ACTIVE')).toEqual(['JOINING']);
});

test('the ring knows a member from JOINING to LEAVING', () => {
  expect(
    MEMBER_STATES.filter((state) => PHASE_OF[state] !== undefined && PHASE_OF[state] !== 'left'),
  ).toEqual(['JOINING', 'ACTIVE', 'LEAVING']);
});

test('a transition is guarded by the states it may come from', () => {
  const write = transition({ stage: 's', instanceId: 'i-1', to: 'LEAVING', nowMs: 5 });

  expect(write.conditionExpression).toMatch(/IN \(/);
  expect(Object.values(write.values)).toContain('ACTIVE');
  expect(Object.values(write.values)).not.toContain('GONE');
});

test('a row that lacks details, or has wrong ones, is read without them', () => {
  const row = parseMember({ pk: 'RING#s', sk: 'NODE#i-1', state: 'ACTIVE', position: 7, usage: 'much' });

  expect(row).toMatchObject({ instanceId: 'i-1', state: 'ACTIVE', privateIp: '', epoch: 0 });
  expect(row?.position).toBeUndefined();
  expect(row?.usage).toBeUndefined();
  expect(parseMember({ pk: 'RING#s', sk: 'NODE#i-1', state: 'SLEEPING' })).toBeUndefined();
  expect(parseMember({ pk: 'RING#s', sk: 'META', state: 'ACTIVE' })).toBeUndefined();
});

test('usage comes back as it was written', () => {
  const usage = {
    usedBytes: 5,
    capacityBytes: 10,
    fileCount: 1,
    predecessorId: identifier(0xffffffff),
    successorId: undefined,
    arcWeights: [{ upTo: identifier(7), bytes: 5 }],
  };

  const row = parseMember({ pk: 'p', sk: 'NODE#i-1', state: 'ACTIVE', usage: usageAttribute(usage) });

  expect(row?.usage).toEqual(usage);
});

test('scaled durations never fall below what real work needs, and are exact on AWS', () => {
  expect(timing(1)).toMatchObject({
    heartbeatMs: 15_000,
    heartbeatStaleMs: 90_000,
    scaleCooldownMs: 300_000,
  });
  expect(timing(20)).toMatchObject({ heartbeatMs: 750, heartbeatStaleMs: 6_000, creatorLeaseMs: 20_000 });
  expect(() => timing(0.5)).toThrow(RangeError);
  expect(() => timing(Number.NaN)).toThrow(RangeError);
});
