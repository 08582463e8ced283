import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { DescribeInstancesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { call, download, faultsOf, ownerOf, upload, uploadSample } from './node-client.ts';
import { numbersFrom, sampleFiles } from './sample-files.ts';
import { startTestCloud, type TestCloud } from './test-cloud.ts';

/** 200 files up to 20 MB take a minute; the suite goes over the same ground in fewer. */
const FILE_COUNT = Number(process.env['CHORDFS_ROUND_TRIP_FILES'] ?? 60);
const LARGEST_BYTES = Number(process.env['CHORDFS_ROUND_TRIP_BYTES'] ?? 10_000_000);

let testCloud: TestCloud;
let ips: readonly string[];
let first: string;
let second: string;

beforeAll(async () => {
  testCloud = await startTestCloud({ desired: 2, volumeSizeBytes: 2 ** 30 });
  ips = await testCloud.publicIps();
  [first = '', second = ''] = ips;
});
afterAll(async () => {
  await testCloud?.cloud.stop();
});

describe('given a cloud that was just started with two nodes', () => {
  test('the SDK sees two instances in service, with the addresses that clients use', async () => {
    const { endpoint, region, autoScalingGroupName } = testCloud.cloud;
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    const autoScaling = new AutoScalingClient({ endpoint, region, credentials });
    const ec2 = new EC2Client({ endpoint, region, credentials });

    const { AutoScalingGroups: [group] = [] } = await autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [autoScalingGroupName] }),
    );
    const InstanceIds = (group?.Instances ?? []).map(({ InstanceId }) => InstanceId ?? '');
    const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds }));

    expect(group?.DesiredCapacity).toBe(2);
    expect(group?.Instances?.map(({ LifecycleState }) => LifecycleState)).toEqual(['InService', 'InService']);
    const addresses = (Reservations ?? []).flatMap(({ Instances }) => Instances ?? []);
    expect(addresses.map(({ PublicIpAddress }) => PublicIpAddress).sort()).toEqual([...ips].sort());
    autoScaling.destroy();
    ec2.destroy();
  });

  test('both nodes are in one ring', () => testCloud.untilOneRing());

  test('the scaling log tells how the ring came to be, in order', () => {
    const types = testCloud.events.map((event) => event['detail-type']);
    expect(types.filter((type) => type === 'Ring Created')).toHaveLength(1);
    expect(types.filter((type) => type === 'Member Joined')).toHaveLength(2);
    expect(types.indexOf('Ring Created')).toBeLessThan(types.lastIndexOf('Member Joined'));
  });
});

describe('given a stranger who speaks to the ring', () => {
  test('create changes nothing for anybody', async () => {
    const keys = Array.from({ length: 12 }, (_, i) => hashName(`key ${i}`));
    const lookUpAll = () => Promise.all(ips.flatMap((ip) => keys.map((key) => ownerOf(ip, key))));
    const before = await lookUpAll();

    for (const ip of ips) expect(await call(ip, 'create')).toBeNull();

    expect(await lookUpAll()).toEqual(before);
    const half = before.length / 2;
    expect(before.slice(0, half)).toEqual(before.slice(half));
  });

  test.each(['join', 'notify', 'kill'])('%s from a stranger is refused', async (method) => {
    const params = method === 'kill' ? [] : [['127.0.0.1', 5057, 1]];
    await expect(call(first, method, ...params)).rejects.toThrow();
    await testCloud.untilOneRing();
  });
});

describe(`given ${FILE_COUNT} files from 1 B to ${LARGEST_BYTES} B with odd names`, () => {
  test('each goes in through a random node and comes out the same through every other', {
    timeout: 300_000,
  }, async () => {
    const next = numbersFrom(7);
    const files = sampleFiles(FILE_COUNT, LARGEST_BYTES, 2);
    for (const file of files) await uploadSample(ips[Math.floor(next() * ips.length)] ?? first, file);
    expect(await faultsOf(ips, files)).toEqual([]);
  });

  test('an empty file is a file', async () => {
    expect(await upload(first, 'empty', Buffer.alloc(0))).toBe(204);
    expect(await download(second, 'empty')).toEqual({ status: 200, body: Buffer.alloc(0) });
  });

  test('a second upload of a name replaces the first everywhere', async () => {
    await upload(first, 'twice', Buffer.from('one'));
    await upload(second, 'twice', Buffer.from('two'));
    for (const ip of ips) expect((await download(ip, 'twice')).body.toString()).toBe('two');
  });
});
