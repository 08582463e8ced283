import { appendFile, cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  DeleteInternetGatewayCommand,
  DeleteRouteTableCommand,
  DeleteVpcEndpointsCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  DetachInternetGatewayCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
import { PutBucketVersioningCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROJECT, pythonProgram, run } from '../programs.ts';
import { Emulator } from './emulator.ts';

/**
 * The whole life of two stages in an account that is not ours: moto's. Nothing is changed but AWS_ENDPOINT_URL.
 * What moto cannot show: it boots no instance and sends no event, so nothing joins, drains or is rolled back; it
 * skips alarms, retries and bucket policies of a template; it deletes neither route tables nor
 * endpoints nor attached internet gateways of a stack.
 */
const SOURCES = ['domain', 'functions', 'node', 'plugins', 'resources'].concat([
  'serverless.yml',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  '.npmrc',
]);
type Inventory = Readonly<Record<string, readonly string[]>>;

let folder: string;
let emulator: Emulator;
let environment: NodeJS.ProcessEnv;
let autoScaling: AutoScalingClient;
let ec2: EC2Client;
let untouched: Inventory;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chordfs-moto-'));
  for (const name of SOURCES) await cp(join(PROJECT, name), join(folder, name), { recursive: true });
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  // The instances' native builds, when an earlier deploy has fetched them.
  await mkdir(join(PROJECT, '.build', 'native'), { recursive: true });
  await mkdir(join(folder, '.build'));
  await symlink(join(PROJECT, '.build', 'native'), join(folder, '.build', 'native'));
  emulator = await Emulator.start();
  environment = {
    ...process.env,
    AWS_ENDPOINT_URL: emulator.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_DEFAULT_REGION: 'us-east-1',
  };
  const client = {
    endpoint: emulator.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  autoScaling = new AutoScalingClient(client);
  ec2 = new EC2Client(client);
  untouched = await inventory();
});
afterAll(async () => {
  await emulator?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function sls(...parameters: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(
    process.execPath,
    [join(PROJECT, 'node_modules/serverless/bin/serverless.js'), ...parameters],
    { cwd: folder, env: environment },
  );
  expect(code, stdout + stderr).toBe(0);
  return stdout + stderr;
}

async function inventory(): Promise<Inventory> {
  const script = join(PROJECT, 'tests/smoke/inventory.py');
  const { stdout, stderr } = await run(pythonProgram('python'), ['-B', script], { env: environment });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Inventory;
}
/** Names of one stage's things, by kind, without what moto makes up anew each time. */
const ofStage = (all: Inventory, stage: string): string[] =>
  Object.values(all)
    .flat()
    .filter((name) => name.includes(`chordfs-${stage}`) || name.includes(`chordfs/${stage}`));

async function group(stage: string) {
  const { AutoScalingGroups = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [`chordfs-${stage}`] }),
  );
  const [found] = AutoScalingGroups;
  if (found === undefined) throw new Error(`there is no group of stage ${stage}`);
  return found;
}

test('the first deploy creates the stage, with its bundle, and says where the nodes are', async () => {
  const output = await sls('deploy');

  expect((await group('dev')).Instances).toHaveLength(2);
  const { objects = [], ...others } = await inventory();
  expect(objects.filter((key) => /\/node\/[0-9a-f]{64}\.tgz$/.test(key))).toHaveLength(1);
  expect(others).toMatchObject({ tables: ['chordfs-dev-members'], stacks: ['chordfs-dev'] });
  expect(output).toMatch(/i-[0-9a-f]+ .* InService/);
  expect(output).toMatch(/curl -F files=@README.md http:\/\/[\d.]+:5058\/upload/);
  expect(emulator.refreshRequests).toEqual([]);
});

test('deployed again as it is, nothing changes', async () => {
  const before = await inventory();

  const output = await sls('deploy');

  expect(output).toContain('No changes to deploy');
  expect(await inventory()).toEqual(before);
  expect((await group('dev')).LaunchTemplate?.Version).toBe('1');
  expect(emulator.refreshRequests).toEqual([]);
});

test('a new bundle makes a new launch template version, and the nodes are to be replaced, new ones first', async () => {
  await autoScaling.send(
    new SetDesiredCapacityCommand({ AutoScalingGroupName: 'chordfs-dev', DesiredCapacity: 3 }),
  );
  await appendFile(join(folder, 'node', 'main.ts'), "\nlog('info', 'a new version', {});\n");

  const output = await sls('deploy');

  expect(output).toContain('Replacing the nodes by launch template version 2');
  const { LaunchTemplate, DesiredCapacity } = await group('dev');
  // What a failed refresh rolls back to; one that succeeds leaves the group with the new version.
  expect(LaunchTemplate?.Version).toBe('1');
  // Scaling had added one: an update does not take it back.
  expect(DesiredCapacity).toBe(3);
  expect(emulator.refreshRequests).toHaveLength(1);
  expect(Object.fromEntries(emulator.refreshRequests[0] ?? [])).toMatchObject({
    AutoScalingGroupName: 'chordfs-dev',
    'DesiredConfiguration.LaunchTemplate.LaunchTemplateId': LaunchTemplate?.LaunchTemplateId,
    'DesiredConfiguration.LaunchTemplate.Version': '2',
    'Preferences.MinHealthyPercentage': '100',
    'Preferences.SkipMatching': 'true',
    'Preferences.AutoRollback': 'true',
  });
  expect(Number(emulator.refreshRequests[0]?.get('Preferences.MaxHealthyPercentage'))).toBeGreaterThan(100);
  const { objects = [] } = await inventory();
  expect(objects.filter((key) => /\/node\/[0-9a-f]{64}\.tgz$/.test(key))).toHaveLength(2);
});

test('a second stage stands beside the first, here in a VPC that was there before', async () => {
  const first = ofStage(await inventory(), 'dev');
  const { Subnets = [] } = await ec2.send(
    new DescribeSubnetsCommand({ Filters: [{ Name: 'default-for-az', Values: ['true'] }] }),
  );
  const [subnet, other] = Subnets;

  await sls(
    ...['deploy', '--stage', 'two', '--param', `vpcId=${subnet?.VpcId}`],
    ...['--param', `subnetIds=${subnet?.SubnetId},${other?.SubnetId}`, '--param', 'vpcCidr=172.31.0.0/16'],
    ...['--param', 'email=operator@example.org', '--param', 'preset=comfortable'],
  );

  const all = await inventory();
  expect(ofStage(all, 'dev')).toEqual(first);
  expect(all['stacks']).toEqual(['chordfs-dev', 'chordfs-two']);
  expect(await group('two')).toMatchObject({ MinSize: 2, DesiredCapacity: 3, MaxSize: 5 });
  expect(all['vpcs']).toHaveLength((untouched['vpcs']?.length ?? 0) + 1);
});

test('removing one leaves the other as it was', async () => {
  const first = ofStage(await inventory(), 'dev');

  await sls('remove', '--stage', 'two');

  const all = await inventory();
  expect(ofStage(all, 'two')).toEqual([]);
  expect(ofStage(all, 'dev')).toEqual(first);
});

test('after the last is removed the account is as it was, also when its bucket held more than its own', async () => {
  const { buckets: [Bucket] = [] } = await inventory();
  const s3 = new S3Client({
    endpoint: emulator.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    forcePathStyle: true,
  });
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  for (const Body of ['one', 'two'])
    await s3.send(new PutObjectCommand({ Bucket, Key: 'notes/of somebody else.txt', Body }));
  await deleteWhatMotoCannot();

  await sls('remove');

  expect(await inventory()).toEqual(untouched);
});

/** CloudFormation deletes these; moto's does not, and then cannot delete the VPC they are in. */
async function deleteWhatMotoCannot(): Promise<void> {
  const { RouteTables = [] } = await ec2.send(new DescribeRouteTablesCommand({}));
  const ours = RouteTables.filter(({ Routes = [] }) =>
    Routes.some(({ GatewayId = '' }) => GatewayId.startsWith('igw-')),
  );
  const { VpcEndpoints = [] } = await ec2.send(new DescribeVpcEndpointsCommand({}));
  const VpcEndpointIds = VpcEndpoints.flatMap(({ VpcEndpointId }) => VpcEndpointId ?? []);
  await ec2.send(new DeleteVpcEndpointsCommand({ VpcEndpointIds }));
  for (const { RouteTableId, VpcId, Routes = [] } of ours) {
    await ec2.send(new DeleteRouteTableCommand({ RouteTableId }));
    const InternetGatewayId = Routes.find(({ GatewayId = '' }) => GatewayId.startsWith('igw-'))?.GatewayId;
    await ec2.send(new DetachInternetGatewayCommand({ InternetGatewayId, VpcId }));
    await ec2.send(new DeleteInternetGatewayCommand({ InternetGatewayId }));
  }
}
