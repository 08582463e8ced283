import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Account, openAccount } from '../../local/account.ts';
import type { EndpointCall } from '../../local/endpoint.ts';
import { inventory } from '../../local/inventory.ts';
import { Running } from '../../local/running.ts';
import { faultOf, uploadSample } from '../end-to-end/node-client.ts';
import { until } from '../end-to-end/until.ts';
import { sls } from './sls.ts';

/** The framework itself, from the first deploy to the last remove, against an account that has nothing. */
const running = new Running();
let account: Account;
const calls: EndpointCall[] = [];
const lifecycle: string[] = [];
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
      onCall: (call) => calls.push(call),
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

test('case 67: removed, each stage leaves nothing behind', async () => {
  await sls(account, 'remove');
  expect(ips('second')).toHaveLength(1);

  await sls(account, 'remove', '--stage', 'second');

  expect(await inventory(account)).toEqual({});
  expect(callsOf('autoscaling', 'StartInstanceRefresh')).toBe(0);
}, 200_000);
