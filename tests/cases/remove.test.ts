import { afterEach, expect, test } from 'vitest';
import { ensurePackaged } from '../../clients/up/packaging.ts';
import { openAccount } from '../../local/account.ts';
import { createClock } from '../../local/clock.ts';
import { inventory } from '../../local/inventory.ts';
import { deployPackage, TEMPLATE } from '../../local/package-deployment.ts';
import { Running } from '../../local/running.ts';
import { loadTemplate } from '../../local/template/template.ts';
import { type StartOptions, startCloud } from '../../local/up.ts';
import { PROJECT, startTestCloud, type TestCloud } from '../end-to-end/test-cloud.ts';
import { until } from '../end-to-end/until.ts';
import { functionResources, startSmallCloud } from '../local-cloud/small-cloud.ts';
import { removeStack, removeStage } from './package-variant.ts';
import { someFiles, uploadAll } from './rolling-update.ts';
import { setDesiredCapacity } from './set-capacity.ts';

/** Removals by the plugin's own steps; `sls.test.ts` drives them with the framework itself. */
const OPTIONS = {
  desired: 1,
  min: 0,
  max: 5,
  volumeSizeBytes: 64 * 2 ** 20,
  threshold: 70,
  timeScale: 20,
  directory: undefined,
  port: 0,
  privatePrefix: '127.28.0',
  publicPrefix: '127.28.1',
} satisfies StartOptions;
const HEARTBEAT_MS = 300_000;

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

async function started(options: Parameters<typeof startTestCloud>[0]): Promise<TestCloud> {
  const testCloud = await startTestCloud(options);
  running.push(testCloud.cloud);
  return testCloud;
}

test('cases 65 and 67: five full nodes are removed in less than one heartbeat, and nothing is left', async () => {
  const testCloud = await started({ desired: 2, min: 2 });
  await setDesiredCapacity(testCloud.cloud, 5);
  await testCloud.untilSettled(5, 200_000);
  await uploadAll(testCloud, someFiles(30, 400_000, 65));
  const began = performance.now();

  await removeStage(testCloud.cloud);

  expect((performance.now() - began) * OPTIONS.timeScale).toBeLessThan(HEARTBEAT_MS);
  expect(await inventory(testCloud.cloud.account)).toEqual({});
  // Nobody handed files over to those who go as well.
  expect(testCloud.lifecycle.filter((line) => line.endsWith('Terminating:Wait'))).toHaveLength(5);
}, 500_000);

test.each([
  ['joining', 2, 3, 'Pending:Wait'],
  ['leaving', 2, 1, 'Terminating:Wait'],
])(
  'case 66: a stage is removed while a node is %s',
  async (_, before, after, state) => {
    const testCloud = await started({ desired: before, min: 0 });
    await uploadAll(testCloud, someFiles(20, 400_000, 66));
    await setDesiredCapacity(testCloud.cloud, after);
    await until(`an instance in ${state}`, () =>
      testCloud.cloud.compute.instances().some(({ lifecycleState }) => lifecycleState === state),
    );

    await removeStage(testCloud.cloud);

    expect(await inventory(testCloud.cloud.account)).toEqual({});
  },
  300_000,
);

test('case 66: a stage is removed while its ring is created', async () => {
  await ensurePackaged({
    projectDirectory: PROJECT,
    signal: AbortSignal.timeout(100_000),
    onStart: () => undefined,
  });
  const cloud = await startCloud({ ...OPTIONS, desired: 3 });
  running.push(cloud);
  const { services, tableName } = cloud;
  await until('the ring is CREATING', async () =>
    (await services.dynamoDb.items(tableName)).some(
      ({ status }) => status === 'CREATING' || status === 'ACTIVE',
    ),
  );

  await removeStage(cloud);

  expect(await inventory(cloud.account)).toEqual({});
}, 300_000);

const WRITES_ONLY = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['logs:CreateLogStream', 'logs:PutLogEvents'], Resource: '*' }],
};

test.each([
  ['may write its lines', WRITES_ONLY, false],
  ['may also create groups', undefined, true],
])(
  'case 68: the log group of a function whose role %s comes back with a late invocation: %#',
  async (_, document, comesBack) => {
    const cloud = await startSmallCloud(createClock(20));
    running.push(cloud);
    const resources = functionResources('Late');
    const role = resources['LateRole'] as { Properties: { Policies: { PolicyDocument: unknown }[] } };
    if (document !== undefined)
      role.Properties.Policies = [{ PolicyName: 'p', PolicyDocument: document } as never];
    await cloud.deploy(resources, { 'Late.zip': 'export const handler = async () => 1;' });
    const { lambda, logs } = cloud.services;
    logs.deleteGroup('/aws/lambda/Late');

    await lambda.find('Late').invoke('{}');

    expect(logs.groups().has('/aws/lambda/Late')).toBe(comesBack);
  },
);

test('case 69: what a failed deploy leaves is removed', async () => {
  await ensurePackaged({
    projectDirectory: PROJECT,
    signal: AbortSignal.timeout(100_000),
    onStart: () => undefined,
  });
  const stopper = new Running();
  running.push(stopper);
  const account = await openAccount(OPTIONS, stopper);
  const packageDirectory = `${PROJECT}/.serverless`;
  const template = await loadTemplate(`${packageDirectory}/${TEMPLATE}`);
  const group = template.Resources['NodeGroup'];
  if (group === undefined) throw new Error('the template has no NodeGroup');
  group.Properties['MinSize'] = 9;

  const deploying = deployPackage(account, { packageDirectory, template, parameters: { MaxSize: 3 } });
  await expect(deploying).rejects.toThrow('NodeGroup');
  expect(account.stacks.find('chordfs-dev').status).toBe('UPDATE_ROLLBACK_COMPLETE');
  expect(Object.keys(await inventory(account)).sort()).toEqual(['buckets', 'objects', 'stacks']);

  await removeStack(account, 'chordfs-dev');
  expect(await inventory(account)).toEqual({});
}, 120_000);
