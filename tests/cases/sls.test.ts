import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { metaKey, parseMeta, type RingMeta } from '../../domain/ring-meta.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import { type Account, openAccount } from '../../local/account.ts';
import type { EndpointCall } from '../../local/endpoint.ts';
import { inventory } from '../../local/inventory.ts';
import { Running } from '../../local/running.ts';
import { announceTeardown } from '../../plugins/node-bundle/teardown.ts';
import { faultOf, uploadSample } from '../end-to-end/node-client.ts';
import { until } from '../end-to-end/until.ts';
import { sls } from './sls.ts';

/** The framework itself, from the first deploy to the last remove, against an account that has nothing. */
const running = new Running();
let account: Account;
const calls: EndpointCall[] = [];
const lifecycle: string[] = [];
/** In the moment in which CloudFormation is told to update a stack. */
let onUpdate: () => void = () => undefined;
/** What was in the deployment bucket when the first instance was launched. */
let objectsAtFirstLaunch: Promise<readonly string[]> | undefined;

beforeAll(async () => {
  account = await openAccount(
    {
      volumeSizeBytes: 64 * 2 ** 20,
      timeScale: 20,
      directory: undefined,
      port: 0,
      privatePrefix: '127.29.0',
      publicPrefix: '127.29.1',
      onCall(call) {
        calls.push(call);
        if (call.operation === 'UpdateStack') onUpdate();
      },
    },
    running,
  );
  account.compute.onChange(({ instanceId, lifecycleState = 'gone' }) => {
    objectsAtFirstLaunch ??= objects();
    lifecycle.push(`${instanceId} ${lifecycleState}`);
  });
});
afterAll(() => running.stop());

async function objects(): Promise<readonly string[]> {
  return (await inventory(account))['objects'] ?? [];
}

/** Public addresses of a stage's nodes in service. */
function ips(stage: string): string[] {
  return account.compute
    .instances()
    .filter(({ autoScalingGroupName }) => autoScalingGroupName === `chordfs-${stage}`)
    .flatMap(({ lifecycleState, publicIp }) => (lifecycleState === 'InService' ? publicIp : []));
}

const callsOf = (service: string, operation: string): number =>
  calls.filter((call) => call.service === service && call.operation === operation).length;

const CREDENTIALS = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };

/** For machines of this one's kind, whose native parts are installed here. */
const KIND = process.arch === 'x64' ? { architecture: 'x86_64', instanceType: 't3.micro' } : {};
const PARAMETERS = Object.entries({ ...KIND, desiredCapacity: 1, minSize: 1 }).flatMap(([name, value]) => [
  '--param',
  `${name}=${value}`,
]);

test('case 59: on a fresh deploy the bundle is there before the first instance, and the first instances have the hook', async () => {
  await sls(account, 'deploy', ...PARAMETERS);

  expect(await objectsAtFirstLaunch).toContainEqual(expect.stringMatching(/\/node\/[0-9a-f]{64}\.tgz$/));
  await until('a node in service', () => ips('dev').length === 1, 90_000);
  expect(new Set(lifecycle.filter((line) => line.endsWith('Pending:Wait'))).size).toBe(1);
  expect(account.stacks.find('chordfs-dev').status).toBe('UPDATE_COMPLETE');
}, 200_000);

test('case 60: deployed again as it is, there are no changes and no refresh', async () => {
  const updates = callsOf('cloudformation', 'UpdateStack');

  const { output } = await sls(account, 'deploy', ...PARAMETERS);

  expect(output).toContain('No changes to deploy');
  expect(callsOf('cloudformation', 'UpdateStack')).toBe(updates);
  expect(callsOf('autoscaling', 'StartInstanceRefresh')).toBe(0);
}, 200_000);

test('case 64: a second stage lives beside the first', async () => {
  await sls(account, 'deploy', '--stage', 'second', ...PARAMETERS);
  await until(
    'a node of each in service',
    () => ips('dev').length === 1 && ips('second').length === 1,
    90_000,
  );

  const [first = '', second = ''] = [...ips('dev'), ...ips('second')];
  const file = { name: 'same name', sizeBytes: 1000, seed: 64 };
  await uploadSample(first, file);

  expect(await faultOf(first, file)).toBeUndefined();
  expect(await faultOf(second, file)).toMatch(/status 404/);
}, 200_000);

/** What the member table says of the ring of a stage. */
async function ring(stage: string): Promise<RingMeta> {
  const items = await account.services.dynamoDb.items(`chordfs-${stage}-members`);
  return parseMeta(items.find(({ pk, sk }) => pk === metaKey(stage).pk && sk === metaKey(stage).sk));
}

const group = (input: object, operation: string) =>
  account.compute.services
    .find(({ signingName }) => signingName === 'autoscaling')
    ?.operations[operation]?.({ AutoScalingGroupName: 'chordfs-dev', ...input } as never, {
      accessKeyId: '',
      roleArn: undefined,
    });

test('a removal of a protected stage is refused before the ring hears of it, and nothing is gone', async () => {
  const before = await inventory(account);
  account.stacks.protect('chordfs-dev', true);

  await expect(sls(account, 'remove')).rejects.toThrow(/chordfs-dev cannot be removed: .*protected/);

  account.stacks.protect('chordfs-dev', false);
  expect((await ring('dev')).status).toBe('ACTIVE');
  expect(await inventory(account)).toEqual(before);
}, 200_000);

test('a removal that CloudFormation refuses is taken back at once', async () => {
  const fault = account.services.faults.calls.add(({ operation }) => operation === 'DeleteStack', {
    kind: 'error',
    code: 'AccessDenied',
    message: 'not authorized to perform cloudformation:DeleteStack',
    status: 403,
  });

  await expect(sls(account, 'remove')).rejects.toThrow(/The announced removal is taken back/);

  fault.end();
  expect(fault.hits()).toBe(1);
  expect(await ring('dev')).toMatchObject({ status: 'ACTIVE', epoch: 1 });
}, 200_000);

test('after an interrupted removal a deploy brings the stage back, and keeps what scaling adds meanwhile', async () => {
  // Where `sls remove` was when somebody pressed Ctrl-C: the bucket is empty, the ring is told.
  expect(await objects()).not.toContainEqual(expect.stringContaining('/chordfs/dev/'));
  const client = new DynamoDBClient({ endpoint: account.endpoint, ...CREDENTIALS });
  await announceTeardown(dynamodbItemStore(client, 'chordfs-dev-members'), 'dev');
  client.destroy();
  onUpdate = () => group({ DesiredCapacity: 2 }, 'SetDesiredCapacity');

  const { output } = await sls(account, 'deploy', ...PARAMETERS);

  expect(output).toContain('The announced removal is taken back');
  expect(await ring('dev')).toMatchObject({ status: 'ACTIVE', epoch: 1 });
  await until('the node that scaling added in service', () => ips('dev').length === 2, 90_000);
  expect(callsOf('autoscaling', 'StartInstanceRefresh')).toBe(0);
}, 300_000);

test('case 67: removed, each stage leaves nothing behind', async () => {
  await sls(account, 'remove');
  expect(ips('second')).toHaveLength(1);

  await sls(account, 'remove', '--stage', 'second');

  expect(await inventory(account)).toEqual({});
  expect(callsOf('autoscaling', 'StartInstanceRefresh')).toBe(0);
}, 200_000);
