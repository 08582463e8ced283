import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimGenesis } from '../../domain/genesis.ts';
import { metaKey, parseMeta } from '../../domain/ring-meta.ts';
import type { ItemStore } from '../../domain/table-writes.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import { announceTeardown, takeTeardownBack } from '../../plugins/node-bundle/teardown.ts';
import { newStage, startTable, type TestTable } from '../control-plane/member-table.ts';

let table: TestTable;
let ring: ItemStore;
beforeAll(async () => {
  table = await startTable();
  ring = dynamodbItemStore(table.client, table.tableName);
});
afterAll(() => table.stop());

const statusOf = async (stage: string) => parseMeta(await ring.get(metaKey(stage))).status;

test('a ring that is being formed is being formed again when its removal is taken back', async () => {
  const stage = newStage();
  const claim = { instanceId: 'i-1', ringId: 'r', nowMs: 1, leaseMs: 1 };
  await ring.write(claimGenesis({ stage, meta: parseMeta(undefined), ...claim }));
  const before = await ring.get(metaKey(stage));

  expect(await announceTeardown(ring, stage)).toBe('announced');
  expect(await announceTeardown(ring, stage)).toBe('announced');
  expect(await statusOf(stage)).toBe('TEARDOWN');

  expect(await takeTeardownBack(ring, stage)).toBe('taken back');
  expect(await takeTeardownBack(ring, stage)).toBe('nothing to take back');
  expect(await ring.get(metaKey(stage))).toEqual(before);
});

test('a ring that changes while it is told is told all the same', async () => {
  const stage = newStage();
  const claim = { instanceId: 'i-1', ringId: 'r', nowMs: 1, leaseMs: 1 };
  const changing: Pick<ItemStore, 'get' | 'write'> = {
    async get(key) {
      const item = await ring.get(key);
      await ring.write(claimGenesis({ stage, meta: parseMeta(undefined), ...claim }));
      return item;
    },
    write: (write) => ring.write(write),
  };

  expect(await announceTeardown(changing, stage)).toBe('announced');

  expect(await statusOf(stage)).toBe('TEARDOWN');
});

test('where there is no table there is nobody to tell, and nothing to take back', async () => {
  const nowhere = dynamodbItemStore(table.client, 'no-such-table');

  expect(await announceTeardown(nowhere, 'dev')).toBe('nothing there');
  expect(await takeTeardownBack(nowhere, 'dev')).toBe('nothing to take back');
});
