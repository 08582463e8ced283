import { afterAll, beforeAll, describe } from 'vitest';
import { MemoryItemStore } from '../../bench/genesis/memory-item-store.ts';
import type { ItemStore } from '../../domain/table-writes.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import { DynamodbItemStore } from '../../node/membership/dynamodb-item-store.ts';
import { conditionalWriteContract } from './conditional-write-contract.ts';
import { itemStoreContract } from './item-store-contract.ts';
import { startTable, type TestTable } from './member-table.ts';

let table: TestTable;
beforeAll(async () => {
  table = await startTable();
});
afterAll(() => table.stop());

const adapters: readonly (readonly [string, () => ItemStore])[] = [
  ['of the Lambdas', () => dynamodbItemStore(table.client, table.tableName)],
  ['of the nodes', () => new DynamodbItemStore(table.client, table.tableName)],
  ['of the simulations', () => new MemoryItemStore()],
];

describe.each(adapters)('the item store %s', (_name, open) => {
  itemStoreContract(open);
});

describe('of twenty writers at once', () => {
  conditionalWriteContract(() => dynamodbItemStore(table.client, table.tableName));
});
