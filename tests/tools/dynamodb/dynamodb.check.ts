import { afterAll, beforeAll, describe } from 'vitest';
import type { ItemStore } from '../../../domain/table-writes.ts';
import { dynamodbItemStore } from '../../../functions/adapters/dynamodb-item-store.ts';
import { DynamodbItemStore } from '../../../node/membership/dynamodb-item-store.ts';
import { conditionalWriteContract } from '../../control-plane/conditional-write-contract.ts';
import { itemStoreContract } from '../../control-plane/item-store-contract.ts';
import { createMemberTable } from '../../control-plane/member-table.ts';
import { type DynamodbServer, openDynamodb } from './dynamodb-server.ts';

/** The contracts of the member table on a server that is not the one the tests and the local cloud are built on. */
let server: DynamodbServer;
let tableName: string;
beforeAll(async () => {
  server = await openDynamodb();
  tableName = await createMemberTable(server.client);
});
afterAll(() => server?.stop());

const adapters: readonly (readonly [string, () => ItemStore])[] = [
  ['of the Lambdas', () => dynamodbItemStore(server.client, tableName)],
  ['of the nodes', () => new DynamodbItemStore(server.client, tableName)],
];

describe.each(adapters)('the item store %s', (_name, open) => {
  itemStoreContract(open);

  describe('of twenty writers at once', () => {
    conditionalWriteContract(open);
  });
});
