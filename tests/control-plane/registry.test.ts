import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DynamodbItemStore } from '../../node/membership/dynamodb-item-store.ts';
import { DynamodbRegistry } from '../../node/membership/dynamodb-registry.ts';
import { startTable, type TestTable } from './member-table.ts';
import { TestPlane } from './test-plane.ts';

let table: TestTable;
let plane: TestPlane;
let nowMs = 1_000_000;
beforeAll(async () => {
  table = await startTable();
});
beforeEach(() => {
  plane = new TestPlane(table);
  nowMs = 1_000_000;
});
afterAll(() => table.stop());

const never = new AbortController().signal;
const life = (id: number, incarnation = 1) => ({ instanceId: `i-${id}`, incarnation });

function open(): DynamodbRegistry {
  const store = new DynamodbItemStore(table.client, table.tableName);
  return new DynamodbRegistry({ store, stage: plane.stage, ringId: 'ring-0', now: () => nowMs });
}

test('of many who ask at once, one is admitted', async () => {
  const registry = open();

  const leases = await Promise.all([1, 2, 3, 4, 5].map((id) => registry.acquireAdmission(life(id), never)));

  expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1);
});

test('a lease that is given back or has run out goes to the next, with a higher fence', async () => {
  const registry = open();
  const first = await registry.acquireAdmission(life(1), never);
  if (first === undefined) throw new Error('free, and not given');
  expect(await registry.acquireAdmission(life(2), never)).toBeUndefined();
  await registry.releaseAdmission(life(1), first, never);

  const second = await registry.acquireAdmission(life(2), never);
  nowMs += 60_000;
  const third = await registry.acquireAdmission(life(3), never);

  expect(second?.fence).toBeGreaterThan(first.fence);
  expect(third?.fence).toBeGreaterThan(second?.fence ?? 0);
  expect(await registry.renewAdmission(life(2), second ?? first, never)).toBeUndefined();
  expect(await registry.renewAdmission(life(3), third ?? first, never)).toEqual(third);
});

test('a late release does not free the lease of another', async () => {
  const registry = open();
  const first = await registry.acquireAdmission(life(1), never);
  nowMs += 60_000;
  await registry.acquireAdmission(life(2), never);
  if (first === undefined) throw new Error('free, and not given');

  await registry.releaseAdmission(life(1), first, never);

  expect(await registry.acquireAdmission(life(3), never)).toBeUndefined();
});

test('two silent voters or one refusal make a death, and the dead are listed no more', async () => {
  const registry = open();
  for (const id of [1, 2, 3]) await plane.putMember(`i-${id}`, { set: { incarnation: 1 } });
  const vote = (suspect: number, voter: number, evidence: 'silent' | 'refused') =>
    registry.voteDead({ suspect: life(suspect), voter: life(voter), evidence }, never);

  expect(await vote(1, 2, 'silent')).toBe('noted');
  expect(await vote(1, 2, 'silent')).toBe('noted');
  expect(await vote(1, 3, 'silent')).toBe('dead');
  expect(await vote(2, 3, 'refused')).toBe('dead');

  const live = await registry.liveMembers(never);
  expect(live.map(({ instanceId }) => instanceId)).toEqual(['i-3']);
  expect(await registry.isDeclaredDead(life(1), never)).toBe(true);
  expect(await registry.isDeclaredDead(life(1, 2), never)).toBe(false);
});

test('votes that are too old do not count', async () => {
  const registry = open();
  await registry.voteDead({ suspect: life(1), voter: life(2), evidence: 'silent' }, never);
  nowMs += 61_000;

  expect(await registry.voteDead({ suspect: life(1), voter: life(3), evidence: 'silent' }, never)).toBe(
    'noted',
  );
});

test('of two members that declare each other dead exactly one wins, and the loser stays lost', async () => {
  for (let round = 1; round <= 20; round++) {
    const registry = open();
    const [a, b] = [life(1, round), life(2, round)];

    const outcomes = await Promise.all([
      registry.arbitrate({ claimant: a, against: [b] }, never),
      registry.arbitrate({ claimant: b, against: [a] }, never),
    ]);

    expect([...outcomes].sort()).toEqual(['lost', 'won']);
    const loser = outcomes[0] === 'lost' ? a : b;
    const winner = outcomes[0] === 'lost' ? b : a;
    expect(await registry.arbitrate({ claimant: loser, against: [winner] }, never)).toBe('lost');
    expect(await registry.arbitrate({ claimant: winner, against: [loser] }, never)).toBe('won');
    expect(await registry.isDeclaredDead(loser, never)).toBe(true);
  }
});

test('the word of a dead voter counts for nothing', async () => {
  const registry = open();
  await registry.arbitrate({ claimant: life(1), against: [life(2)] }, never);

  expect(await registry.voteDead({ suspect: life(1), voter: life(2), evidence: 'refused' }, never)).toBe(
    'noted',
  );
});

test('a table that is away is an error the ring knows', async () => {
  const store = {
    get: () => Promise.reject(new Error('ECONNREFUSED')),
    list: () => Promise.reject(new Error('ECONNREFUSED')),
    write: () => Promise.reject(new Error('ECONNREFUSED')),
  };
  const registry = new DynamodbRegistry({ store, stage: plane.stage, ringId: 'ring-0' });

  await expect(registry.liveMembers(never)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' });
});
