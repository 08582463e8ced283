import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { computeFixture, type Fixture, hook, until } from './compute-fixture.ts';

const running: Fixture[] = [];
afterEach(async () => {
  for (const fixture of running.splice(0)) await fixture.stop();
});

async function given(options: Parameters<typeof computeFixture>[0] = {}) {
  const fixture = await computeFixture(options);
  running.push(fixture);
  const whenInService = (count = 1) =>
    until(`${count} in service`, () => {
      const found = fixture.compute
        .instances()
        .filter(({ lifecycleState }) => lifecycleState === 'InService');
      return found.length === count ? found : undefined;
    });
  const event = (type: string) =>
    until(`the event ${type}`, () => fixture.events.find((candidate) => candidate['detail-type'] === type));
  return { ...fixture, whenInService, event };
}

async function token(privateIp: string, signal: AbortSignal): Promise<number> {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
  const answer = await fetch(`http://${privateIp}:1338/latest/api/token`, { method: 'PUT', headers, signal });
  return answer.status;
}

test('refused launches are reported with their reason and made up for', async () => {
  const { compute, deploy, whenInService, event } = await given({ timeScale: 300 });
  compute.faults.failLaunches(2, 'We currently do not have sufficient t4g.micro capacity');

  await deploy();
  const { detail } = await event('EC2 Instance Launch Unsuccessful');
  await whenInService();

  expect(detail).toMatchObject({
    StatusCode: 'Failed',
    StatusMessage: 'We currently do not have sufficient t4g.micro capacity',
    EC2InstanceId: '',
  });
});

test('a Spot machine gets its warning, and is taken two scaled minutes later', async () => {
  const { compute, deploy, whenInService, event } = await given();
  await deploy();
  const [instance] = await whenInService();
  const instanceId = instance?.instanceId ?? '';

  compute.faults.interruptSpot(instanceId);
  const warning = await event('EC2 Spot Instance Interruption Warning');
  await until('the machine is taken', () =>
    compute.instances().every((other) => other.instanceId !== instanceId),
  );

  expect(warning.detail).toEqual({ 'instance-id': instanceId, 'instance-action': 'terminate' });
});

test('a silenced metadata service does not answer until it speaks again', async () => {
  const { compute, deploy, whenInService } = await given();
  await deploy();
  const [instance] = await whenInService();
  const { instanceId, privateIp } = instance ?? { instanceId: '', privateIp: '' };

  compute.faults.silenceMetadata(instanceId, true);
  await expect(token(privateIp, AbortSignal.timeout(200))).rejects.toThrow();
  compute.faults.silenceMetadata(instanceId, false);

  expect(await token(privateIp, AbortSignal.timeout(5_000))).toBe(200);
});

test('a frozen machine stays in service, and can be terminated', async () => {
  const { compute, deploy, whenInService, event } = await given();
  await deploy({ LifecycleHookSpecificationList: [] });
  const [instance] = await whenInService();

  compute.faults.freeze(instance?.instanceId ?? '');
  await compute.deleteAutoScalingGroup('chordfs-test');

  await event('EC2 Instance Terminate Successful');
  expect(compute.instances()).toEqual([]);
});

test('a knob on an unknown instance says so', async () => {
  const { compute } = await given();

  expect(() => compute.faults.crash('i-0')).toThrow('instance i-0 is not running');
  expect(() => compute.faults.interruptSpot('i-0')).toThrow('there is no instance i-0');
});

test('an address that is taken fails the deploy with what to do, before anything is launched', async () => {
  const { deploy, compute } = await given();
  const other = createServer().listen(5057, '127.20.0.12');
  await once(other, 'listening');

  await expect(deploy({ DesiredCapacity: 2 })).rejects.toThrow(/port 5057 on 127\.20\.0\.12 is taken/);

  expect(compute.instances()).toEqual([]);
  await new Promise((resolve) => other.close(resolve));
});

test('a second start that finds a port taken fails and keeps the data', async () => {
  const first = await computeFixture();
  await first.deploy();
  await until('it is in service', () => first.compute.instances()[0]?.lifecycleState === 'InService');
  const [instance] = first.compute.instances();
  const data = join(instance?.directory ?? '', 'data');
  await until('it has data', async () => (await readdir(data)).length > 0);
  const earlier = await first.powerOff();
  const other = createServer().listen(5058, '127.20.0.11');
  await once(other, 'listening');

  const second = await given({ earlier });
  await expect(second.compute.start()).rejects.toThrow(/port 5058 on 127\.20\.0\.11 is taken/);

  expect(await readdir(data)).not.toEqual([]);
  await new Promise((resolve) => other.close(resolve));
});

test('user data that cannot boot ends the launch where a person sees why', async () => {
  const { compute, deploy, logs } = await given();
  await deploy({ DesiredCapacity: 0, LifecycleHookSpecificationList: [hook('launch', 'LAUNCHING')] });
  const { launchTemplateId, latestVersionNumber } = compute.putLaunchTemplate('Bad', {
    LaunchTemplateData: { UserData: Buffer.from('#!/bin/sh').toString('base64') },
  });

  await compute.putAutoScalingGroup('NodeGroup', {
    AutoScalingGroupName: 'chordfs-test',
    DesiredCapacity: 1,
    LaunchTemplate: { LaunchTemplateId: launchTemplateId, Version: latestVersionNumber },
  });

  await until('the reason is told', () =>
    logs.some((line) => line.includes('does not start with #cloud-config')),
  );
});
