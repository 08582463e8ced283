import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { expect, test } from 'vitest';
import { awsCalls } from '../../node/membership/aws-calls.ts';

test('a call whose answer never comes fails, so that the heartbeats after it go on', async () => {
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const options = awsCalls('us-east-1');
  const client = new DynamoDBClient({
    ...options,
    requestHandler: { ...options.requestHandler, requestTimeout: 50 },
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });

  await expect(client.send(new ListTablesCommand({}))).rejects.toMatchObject({ name: 'TimeoutError' });

  client.destroy();
  silent.closeAllConnections();
  silent.close();
});
