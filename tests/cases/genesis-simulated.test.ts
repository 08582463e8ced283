import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ItemStore } from '../../domain/table-writes.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import { startTable, type TestTable } from '../control-plane/member-table.ts';
import { SimulatedNode } from '../control-plane/simulated-node.ts';
import { TestPlane } from '../control-plane/test-plane.ts';

/**
 * The creator dies, or freezes, after each of its writes in turn: the node's own membership code over a real table,
 * stopped between two writes as no real process can be.
 */
vi.setConfig({ testTimeout: 60_000 });

/** What a creator writes from its first look to being a member, its events included. */
const WRITES = 17;
const AFTER_EACH_WRITE = Array.from({ length: WRITES }, (_, index) => index + 1);

let table: TestTable;
const running: SimulatedNode[] = [];
beforeAll(async () => {
  table = await startTable();
});
afterEach(async () => {
  for (const node of running.splice(0)) await node.stop();
});
afterAll(() => table.stop());

/** Calls `then` once the n-th write is done, and answers it only when that has come to its end. */
function interrupted(store: ItemStore, n: number, then: () => Promise<void>): ItemStore {
  let writes = 0;
  return {
    get: (key) => store.get(key),
    list: (pk, prefix) => store.list(pk, prefix),
    async write(write) {
      const outcome = await store.write(write);
      writes += 1;
      if (writes === n) await then();
      return outcome;
    },
  };
}

function open() {
  const plane = new TestPlane(table);
  const store = dynamodbItemStore(table.client, table.tableName);
  const start = async (instanceId: string, through: ItemStore = store) => {
    const options = { table, stage: plane.stage, store: through, now: () => plane.nowMs };
    const node = await SimulatedNode.start(instanceId, options);
    running.push(node);
    return node;
  };
  return { plane, store, start };
}

async function expectOneRing(plane: TestPlane, ids: readonly string[]): Promise<void> {
  const meta = await plane.meta();
  const members = await plane.members();
  expect(meta.status).toBe('ACTIVE');
  expect(members.map(({ instanceId, state }) => `${instanceId} ${state}`).sort()).toEqual(
    ids.map((id) => `${id} ACTIVE`),
  );
  expect(members.every(({ ringId, epoch }) => ringId === meta.ringId && epoch === meta.epoch)).toBe(true);
  expect(new Set(members.map(({ position }) => position)).size).toBe(ids.length);
}

describe.each(AFTER_EACH_WRITE)('given a creator that is stopped after its write %i', (n) => {
  test('case 3: killed, another takes over with the next epoch, and it joins when it starts again', async () => {
    const { plane, store, start } = open();
    let death: () => void = () => undefined;
    const died = new Promise<'died'>((resolve) => {
      death = () => resolve('died');
    });
    const doomed = await start(
      'i-1',
      interrupted(store, n, () => {
        death();
        return new Promise(() => undefined);
      }),
    );
    const outcome = await Promise.race([doomed.join(), died]);
    doomed.membership.stop();
    const before = await plane.meta();
    plane.nowMs += plane.timing.creatorLeaseMs + 1;

    const second = await (await start('i-2')).join();
    const again = await (await start('i-1')).join(2);

    expect(second).not.toBe('fenced');
    expect(again).not.toBe('fenced');
    const meta = await plane.meta();
    // Once the ring is ACTIVE with its creator in it, there is nothing to take over.
    const isFormed = outcome !== 'died' || (second !== 'fenced' && second.role === 'joiner');
    expect(meta.epoch).toBe(isFormed ? before.epoch : before.epoch + 1);
    expect(meta.creator).toBe(isFormed ? 'i-1' : 'i-2');
    await expectOneRing(plane, ['i-1', 'i-2']);
  });

  test('case 4: frozen for five minutes, it is fenced when it wakes up too late, and joins the other ring', async () => {
    const { plane, store, start } = open();
    const frozen = await start(
      'i-1',
      interrupted(store, n, async () => {
        plane.nowMs += 5 * 60_000;
        await (await start('i-2')).join();
      }),
    );

    let woken = await frozen.join();
    const wasFenced = woken === 'fenced';
    if (woken === 'fenced') woken = await frozen.join(2);
    // Frozen after its last write, it had nothing left to be stopped at.
    if ((await plane.member('i-2')) === undefined) await (await start('i-2')).join();

    expect(woken).not.toBe('fenced');
    const meta = await plane.meta();
    if (wasFenced) expect(meta).toMatchObject({ creator: 'i-2', epoch: 2 });
    await expectOneRing(plane, ['i-1', 'i-2']);
  });
});

test('the creators above were stopped after their last write as well', async () => {
  const { store, start } = open();
  let writes = 0;
  const counting: ItemStore = {
    get: (key) => store.get(key),
    list: (pk, prefix) => store.list(pk, prefix),
    write: (write) => {
      writes += 1;
      return store.write(write);
    },
  };

  await (await start('i-1', counting)).join();

  expect(writes).toBe(WRITES);
});
