import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { dynoxide } from '../programs.ts';

export interface DynamodbServer {
  readonly client: DynamoDBClient;
  stop(): Promise<void>;
}

/**
 * Dynoxide, an implementation of its own that is verified against AWS by a public conformance suite; or, with
 * `CHORDFS_TEST_DYNAMODB_ENDPOINT`, whatever answers there (Amazon's DynamoDB Local, for one).
 */
export async function openDynamodb(): Promise<DynamodbServer> {
  const given = process.env['CHORDFS_TEST_DYNAMODB_ENDPOINT'];
  const port = given === undefined ? await freePort() : 0;
  const server =
    given === undefined ? spawn(dynoxide(), ['--port', String(port)], { stdio: 'ignore' }) : undefined;
  const client = new DynamoDBClient({
    endpoint: given ?? `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  });
  await untilItAnswers(client);
  return {
    client,
    async stop() {
      client.destroy();
      if (server !== undefined) await end(server);
    },
  };
}

async function end(server: ChildProcess): Promise<void> {
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function untilItAnswers(client: DynamoDBClient): Promise<void> {
  const deadline = AbortSignal.timeout(20_000);
  for (;;) {
    try {
      await client.send(new ListTablesCommand({}));
      return;
    } catch (error) {
      if (deadline.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
