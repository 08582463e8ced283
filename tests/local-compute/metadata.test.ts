import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCredentials } from '../../local/imds/credentials.ts';
import { type InstanceFacts, metadataAt } from '../../local/imds/metadata-paths.ts';
import { MetadataServer } from '../../local/imds/metadata-server.ts';
import type { Caller } from '../../local/service.ts';
import { mounted } from './mounted.ts';

const ADDRESS = '127.20.0.90';
const PORT = 1338;
const ROLE_ARN = 'arn:aws:iam::000000000000:role/node';
const credentials = createCredentials();

let target: string | undefined;
let spotMs: number | undefined;
const facts: InstanceFacts = {
  instanceId: 'i-1',
  privateIp: '127.20.0.90',
  publicIp: '127.20.1.90',
  region: 'us-east-1',
  availabilityZone: 'us-east-1a',
  instanceType: 't4g.micro',
  imageId: 'ami-1',
  accountId: '000000000000',
  launchedMs: 0,
  tags: { 'chordfs:stage': 'test' },
  roleName: 'node',
  instanceProfileArn: 'arn:aws:iam::000000000000:instance-profile/node',
  credentials: () => credentials.issue(ROLE_ARN),
  targetLifecycleState: () => target,
  spotTerminationMs: () => spotMs,
  rebalanceNoticeMs: () => undefined,
};

const server = new MetadataServer(facts);
beforeAll(() => server.listen(ADDRESS, PORT));
afterAll(() => server.close());

const base = `http://${ADDRESS}:${PORT}`;
async function token(): Promise<string> {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
  const answer = await fetch(`${base}/latest/api/token`, { method: 'PUT', headers });
  return answer.text();
}
async function get(path: string, withToken?: string) {
  const headers = { 'x-aws-ec2-metadata-token': withToken ?? (await token()) };
  const answer = await fetch(`${base}/latest/${path}`, { headers });
  return { status: answer.status, body: await answer.text() };
}

test.each([
  ['meta-data/instance-id', 'i-1'],
  ['meta-data/local-ipv4', '127.20.0.90'],
  ['meta-data/public-ipv4', '127.20.1.90'],
  ['meta-data/placement/availability-zone', 'us-east-1a'],
  ['meta-data/placement/region', 'us-east-1'],
  ['meta-data/tags/instance/chordfs:stage', 'test'],
  ['meta-data/iam/security-credentials/', 'node'],
  ['meta-data/placement/', 'availability-zone\nregion'],
])('%s is told to whoever has a token', async (path, body) => {
  expect(await get(path)).toEqual({ status: 200, body });
});

test('version 1 requests, without or with a false token, are refused', async () => {
  expect((await fetch(`${base}/latest/meta-data/instance-id`)).status).toBe(401);
  expect((await get('meta-data/instance-id', 'made-up')).status).toBe(401);
});

test.each([['0'], ['21601'], ['soon'], ['']])('a token for %j seconds is refused', async (ttl) => {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': ttl };

  const answer = await fetch(`${base}/latest/api/token`, { method: 'PUT', headers });

  expect(answer.status).toBe(400);
});

test('the target lifecycle state is absent until it was first set, then says where the instance goes', async () => {
  const path = 'meta-data/autoscaling/target-lifecycle-state';
  target = undefined;
  expect((await get(path)).status).toBe(404);

  target = 'InService';
  expect((await get(path)).body).toBe('InService');
  target = 'Terminated';
  expect((await get(path)).body).toBe('Terminated');
});

test('a Spot notice appears with its time', async () => {
  const path = 'meta-data/spot/instance-action';
  expect((await get(path)).status).toBe(404);

  spotMs = Date.UTC(2026, 0, 2, 3, 4, 5);

  expect(JSON.parse((await get(path)).body)).toEqual({ action: 'terminate', time: '2026-01-02T03:04:05Z' });
});

test('without exposed tags there is no tags folder', () => {
  expect(metadataAt({ ...facts, tags: undefined }, 'meta-data/tags/instance')).toBeUndefined();
});

test("the SDK's default chain finds credentials, and the endpoint knows their role", async () => {
  const callers: Caller[] = [];
  const endpoint = await mounted(
    [
      {
        signingName: 'autoscaling',
        operations: {
          DescribeAutoScalingGroups: (_input: unknown, caller: Caller) => {
            callers.push(caller);
            return { AutoScalingGroups: [] };
          },
        },
      },
    ],
    credentials.callerOf,
  );
  const script = `
    import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
    await new AutoScalingClient({}).send(new DescribeAutoScalingGroupsCommand({}));`;

  await promisify(execFile)(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], {
    env: {
      HOME: '/nonexistent',
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL: endpoint.url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: base,
    },
  });
  await endpoint.close();

  expect(callers.map(({ roleArn }) => roleArn)).toEqual([ROLE_ARN]);
});

describe('hostile paths', () => {
  test('are answered, never crashed on', async () => {
    const known = await token();
    const segment = fc.oneof(fc.webPath(), fc.constantFrom('%', '%ff', '../..', 'meta-data/__proto__', '?'));
    await fc.assert(
      fc.asyncProperty(segment, async (path) => {
        const { status } = await get(path, known);

        expect([200, 404]).toContain(status);
      }),
      { numRuns: 100 },
    );
  });
});
