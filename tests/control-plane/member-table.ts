import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';
import { ringPartition } from '../../domain/table-writes.ts';

/** A DynamoDB in this process, with the member table as resources/members.yml declares it. */
export interface TestTable {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  stop(): Promise<void>;
}

export async function startTable(): Promise<TestTable> {
  const server = dynalite({ createTableMs: 0 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const tableName = await createMemberTable(client);
  return {
    client,
    tableName,
    async stop() {
      client.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Makes the member table, as resources/members.yml declares it. @returns its name, new for each call. */
export async function createMemberTable(client: DynamoDBClient): Promise<string> {
  const tableName = `members-${process.pid}-${Date.now()}`;
  await client.send(
    new CreateTableCommand({
      TableName: tableName,
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 10 },
    }),
  );
  return tableName;
}

/** Stages share the table and nothing else: each test takes its own. */
export function newStage(): string {
  stageCount += 1;
  return `stage${stageCount}-${process.pid}`;
}
let stageCount = 0;

export function ringKey(stage: string, sk: string): { pk: string; sk: string } {
  return { pk: ringPartition(stage), sk };
}
