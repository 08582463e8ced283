import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  ListTablesCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  ScanCommand,
  type ScanCommandInput,
} from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import dynalite from 'dynalite';
import type { HttpRequest, HttpResponse } from '../protocol/http.ts';
import { ACCOUNT_ID } from '../service.ts';

/** DynamoDB by dynalite, in this process, behind the one endpoint. */
export interface DynamoDb {
  /** Passes one request of DynamoDB's own protocol on. */
  serve(request: HttpRequest): Promise<HttpResponse>;
  /** Creates the table unless it is there; what dynalite does not model (TTL, backups, encryption) is left out. */
  putTable(
    tableName: string,
    properties: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly arn: string }>;
  deleteTable(tableName: string): Promise<void>;
  tableNames(): Promise<readonly string[]>;
  /** Name of a table's partition key; '' for a table that was not put here. */
  partitionKey(tableName: string): string;
  /** All items, plain values; for what the local cloud itself shows. Empty when there is no such table. */
  items(tableName: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Flushes and closes. */
  stop(): Promise<void>;
}

/** The properties of AWS::DynamoDB::Table that dynalite understands; they are named as in CreateTable. */
const TABLE_PROPERTIES = [
  'AttributeDefinitions',
  'KeySchema',
  'BillingMode',
  'ProvisionedThroughput',
  'GlobalSecondaryIndexes',
  'LocalSecondaryIndexes',
] as const;

/** Template values are text where a parameter gave them; CreateTable wants numbers. */
function throughput(value: unknown): { ReadCapacityUnits: number; WriteCapacityUnits: number } {
  const given = value as { ReadCapacityUnits?: unknown; WriteCapacityUnits?: unknown };
  return {
    ReadCapacityUnits: Number(given.ReadCapacityUnits),
    WriteCapacityUnits: Number(given.WriteCapacityUnits),
  };
}

function createTableInput(
  TableName: string,
  properties: Readonly<Record<string, unknown>>,
): CreateTableCommandInput {
  const known = TABLE_PROPERTIES.flatMap((name) =>
    properties[name] === undefined ? [] : [[name, properties[name]]],
  );
  const input: Record<string, unknown> = { TableName, ...Object.fromEntries(known) };
  if (input['ProvisionedThroughput'] !== undefined) {
    input['ProvisionedThroughput'] = throughput(input['ProvisionedThroughput']);
  }
  return input as unknown as CreateTableCommandInput;
}

/** @param directory LevelDB folder; undefined keeps everything in memory. */
export async function startDynamoDb(directory: string | undefined, region: string): Promise<DynamoDb> {
  if (directory !== undefined) await mkdir(directory, { recursive: true });
  const immediate = { createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 };
  const server = dynalite(directory === undefined ? immediate : { ...immediate, path: directory });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const client = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });

  // dynalite throws, and ends the process, when its database is closed under a request: those finish first.
  const inFlight = new Set<Promise<unknown>>();
  const partitionKeys = new Map<string, string>();
  let isStopping = false;
  return {
    serve(incoming) {
      if (isStopping) return Promise.resolve({ status: 503, headers: {}, body: '' });
      const answer = forward(incoming, port, agent);
      const settled: Promise<unknown> = answer.then(
        () => inFlight.delete(settled),
        () => inFlight.delete(settled),
      );
      inFlight.add(settled);
      return answer;
    },
    async putTable(tableName, properties) {
      partitionKeys.set(tableName, partitionKeyOf(properties));
      try {
        await client.send(new CreateTableCommand(createTableInput(tableName, properties)));
      } catch (error) {
        if (!(error instanceof ResourceInUseException)) throw error;
      }
      await waitUntilActive(client, tableName);
      return { arn: `arn:aws:dynamodb:${region}:${ACCOUNT_ID}:table/${tableName}` };
    },
    async deleteTable(tableName) {
      await client.send(new DeleteTableCommand({ TableName: tableName })).catch((error: unknown) => {
        if (!(error instanceof ResourceNotFoundException)) throw error;
      });
    },
    partitionKey: (tableName) => partitionKeys.get(tableName) ?? '',
    async tableNames() {
      return (await client.send(new ListTablesCommand({}))).TableNames ?? [];
    },
    items: (tableName) => scan(client, tableName),
    async stop() {
      if (isStopping) return;
      isStopping = true;
      await Promise.all(inFlight);
      client.destroy();
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function partitionKeyOf(properties: Readonly<Record<string, unknown>>): string {
  const schema = (properties['KeySchema'] ?? []) as readonly { KeyType?: string; AttributeName?: string }[];
  return schema.find(({ KeyType }) => KeyType === 'HASH')?.AttributeName ?? '';
}

async function scan(client: DynamoDBClient, TableName: string): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  let ExclusiveStartKey: ScanCommandInput['ExclusiveStartKey'];
  try {
    do {
      const page = await client.send(new ScanCommand({ TableName, ConsistentRead: true, ExclusiveStartKey }));
      items.push(...(page.Items ?? []).map((item) => unmarshall(item)));
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey !== undefined);
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
  return items;
}

async function waitUntilActive(client: DynamoDBClient, TableName: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    if (Table?.TableStatus === 'ACTIVE') return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`table ${TableName} did not become ACTIVE`);
}

function forward(incoming: HttpRequest, port: number, agent: Agent): Promise<HttpResponse> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined && name !== 'connection' && name !== 'transfer-encoding') headers[name] = value;
  }
  headers['content-length'] = String(incoming.body.byteLength);
  return new Promise((resolve, reject) => {
    const { method, url: path } = incoming;
    const outgoing = request({ host: '127.0.0.1', port, agent, method, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answered: Record<string, string> = {};
        for (const name of ['content-type', 'x-amz-crc32', 'x-amzn-requestid']) {
          const value = response.headers[name];
          if (typeof value === 'string') answered[name] = value;
        }
        resolve({ status: response.statusCode ?? 500, headers: answered, body: Buffer.concat(chunks) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(incoming.body);
  });
}
