import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  DescribeScalingActivitiesCommand,
  SetDesiredCapacityCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { DescribeInstancesCommand, EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { afterEach, expect, test } from 'vitest';
import { computeFixture, type Fixture, GROUP, hook, until } from './compute-fixture.ts';
import { clientOptions } from './mounted.ts';

const running: Fixture[] = [];
afterEach(async () => {
  for (const fixture of running.splice(0)) await fixture.stop();
});

async function given(options: Parameters<typeof computeFixture>[0] = {}) {
  const fixture = await computeFixture(options);
  running.push(fixture);
  const autoScaling = new AutoScalingClient(clientOptions(fixture.url));
  const ec2 = new EC2Client(clientOptions(fixture.url));
  const inState = (lifecycleState: string) =>
    fixture.compute.instances().filter((instance) => instance.lifecycleState === lifecycleState);
  const whenIn = (lifecycleState: string, count = 1) =>
    until(`${count} in ${lifecycleState}`, () => {
      const found = inState(lifecycleState);
      return found.length === count ? found : undefined;
    });
  const complete = (instanceId: string, hookName: string, result = 'CONTINUE') =>
    autoScaling.send(
      new CompleteLifecycleActionCommand({
        AutoScalingGroupName: GROUP,
        LifecycleHookName: hookName,
        LifecycleActionResult: result,
        InstanceId: instanceId,
      }),
    );
  const eventTypes = () => fixture.events.map((event) => event['detail-type']);
  return { ...fixture, autoScaling, ec2, whenIn, complete, eventTypes };
}

test('an instance boots, waits for its hook, and is in service once the hook continues', async () => {
  const { deploy, whenIn, complete, autoScaling, ec2, events } = await given();

  await deploy({
    LifecycleHookSpecificationList: [hook('launch', 'LAUNCHING', { NotificationMetadata: 'm' })],
  });
  const [waiting] = await whenIn('Pending:Wait');
  const instanceId = waiting?.instanceId ?? '';
  await complete(instanceId, 'launch');
  await whenIn('InService');

  const { AutoScalingGroups } = await autoScaling.send(new DescribeAutoScalingGroupsCommand({}));
  expect(AutoScalingGroups?.[0]).toMatchObject({
    AutoScalingGroupName: GROUP,
    Instances: [{ InstanceId: instanceId, LifecycleState: 'InService', HealthStatus: 'Healthy' }],
  });
  const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [instanceId] }));
  expect(Reservations?.[0]?.Instances?.[0]).toMatchObject({
    PrivateIpAddress: '127.20.0.11',
    PublicIpAddress: '127.20.1.11',
    State: { Name: 'running', Code: 16 },
    Tags: expect.arrayContaining([
      { Key: 'stage', Value: 'test' },
      { Key: 'aws:autoscaling:groupName', Value: GROUP },
    ]),
  });
  expect(
    events.map((event) => [event['detail-type'], event.detail['state'] ?? event.detail['Origin']]),
  ).toEqual([
    ['EC2 Instance State-change Notification', 'pending'],
    ['EC2 Instance State-change Notification', 'running'],
    ['EC2 Instance-launch Lifecycle Action', 'EC2'],
    ['EC2 Instance Launch Successful', 'EC2'],
  ]);
  expect(events[2]?.detail).toMatchObject({
    AutoScalingGroupName: GROUP,
    EC2InstanceId: instanceId,
    LifecycleHookName: 'launch',
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
    NotificationMetadata: 'm',
    Destination: 'AutoScalingGroup',
  });
});

test('a node process sees the user data, its machine and nothing else', async () => {
  const { deploy, whenIn, url } = await given();

  await deploy();
  const [instance] = await whenIn('InService');
  const directory = instance?.directory ?? '';
  const environment = await until('the stub wrote its environment', async () =>
    JSON.parse(await readFile(join(directory, 'data', 'environment.json'), 'utf8').catch(() => 'false')),
  );

  const { PATH: _path, HOME: home, ...rest } = environment;
  expect(home).toBe(directory);
  expect(rest).toEqual({
    TZ: 'UTC',
    CHORDFS_STAGE: 'test',
    CHORDFS_DATA_DIR: join(directory, 'data'),
    CHORDFS_TIME_SCALE: '60',
    CHORDFS_LISTEN: '127.20.0.11,127.20.1.11',
    CHORDFS_CAPACITY_BYTES: String(1024 * 1024),
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'us-east-1',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.20.0.11:1338',
  });
});

test('a killed machine is terminated, noticed, drained by its hook and replaced', async () => {
  const { deploy, whenIn, compute, complete, eventTypes } = await given();
  await deploy({ LifecycleHookSpecificationList: [hook('terminate', 'TERMINATING')] });
  const [first] = await whenIn('InService');
  const firstId = first?.instanceId ?? '';

  compute.faults.crash(firstId);
  await until('the terminate hook waits', () =>
    eventTypes().includes('EC2 Instance-terminate Lifecycle Action'),
  );
  await complete(firstId, 'terminate');
  const [second] = await whenIn('InService');

  expect(second?.instanceId).not.toBe(firstId);
  await until('it is gone for good', () => eventTypes().includes('EC2 Instance Terminate Successful'));
});

test('scaling in drains through the terminate hook, and the address is free afterwards', async () => {
  const { deploy, whenIn, autoScaling, complete, eventTypes, compute } = await given();
  await deploy({ DesiredCapacity: 2, LifecycleHookSpecificationList: [hook('terminate', 'TERMINATING')] });
  await whenIn('InService', 2);

  await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: GROUP, DesiredCapacity: 1 }));
  const [leaving] = await whenIn('Terminating:Wait');
  await complete(leaving?.instanceId ?? '', 'terminate');
  await until('one instance is left', () => compute.instances().length === 1);
  await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: GROUP, DesiredCapacity: 2 }));
  await whenIn('InService', 2);

  expect(compute.instances().map(({ privateIp }) => privateIp)).toEqual(['127.20.0.11', '127.20.0.12']);
  expect(eventTypes()).toContain('EC2 Instance Terminate Successful');
  const { Activities } = await autoScaling.send(
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: GROUP }),
  );
  expect(Activities?.map(({ StatusCode }) => StatusCode)).toEqual(Array(4).fill('Successful'));
  expect(Activities?.[1]?.Cause).toMatch(
    /a user request explicitly set group desired capacity changing the desired capacity from 2 to 1\. {2}At .*Z an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from 2 to 1\./,
  );
});

test("terminates with and without decrement, and refuses in AWS's words", async () => {
  const { deploy, whenIn, autoScaling } = await given();
  await deploy({ MinSize: 1, DesiredCapacity: 2 });
  const [first] = await whenIn('InService', 2);
  const terminate = (InstanceId: string, ShouldDecrementDesiredCapacity: boolean) =>
    autoScaling.send(
      new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity }),
    );

  const { Activity } = await terminate(first?.instanceId ?? '', true);
  const [second] = await whenIn('InService', 1);

  expect(Activity?.Cause).toContain('shrinking the capacity from 2 to 1');
  await expect(terminate(second?.instanceId ?? '', true)).rejects.toMatchObject({
    name: 'ValidationError',
    message: expect.stringContaining('Currently, desiredSize equals minSize (1)'),
  });
  await expect(terminate('i-00000000', false)).rejects.toMatchObject({
    message: 'Instance Id not found - No managed instance found for instance ID i-00000000',
  });
});

test('EC2 takes a machine without waiting for its hook', async () => {
  const { deploy, whenIn, ec2, compute, autoScaling } = await given();
  await deploy({ LifecycleHookSpecificationList: [hook('terminate', 'TERMINATING')] });
  const [instance] = await whenIn('InService');
  const instanceId = instance?.instanceId ?? '';

  const { TerminatingInstances } = await ec2.send(
    new TerminateInstancesCommand({ InstanceIds: [instanceId] }),
  );
  await until('the machine is gone', () =>
    compute.instances().every((other) => other.instanceId !== instanceId),
  );
  const details = await until('the hook waits for a machine that is gone', async () => {
    const { AutoScalingInstances } = await autoScaling.send(new DescribeAutoScalingInstancesCommand({}));
    return AutoScalingInstances?.find(({ LifecycleState }) => LifecycleState === 'Terminating:Wait');
  });

  expect(TerminatingInstances?.[0]).toMatchObject({
    CurrentState: { Name: 'shutting-down' },
    PreviousState: { Name: 'running' },
  });
  expect(details).toMatchObject({ InstanceId: instanceId, HealthStatus: 'UNHEALTHY' });
});

test('the agent reports the share of the volume that is in use, by instance and for the group', async () => {
  const { deploy, whenIn, metrics } = await given({ timeScale: 600 });

  await deploy();
  const [instance] = await whenIn('InService');
  const data = await until('a measurement', () =>
    metrics.find(({ MetricData }) => (MetricData[0]?.Value ?? 0) > 0),
  );

  expect(data.Namespace).toBe('CWAgent');
  expect(data.MetricData.map(({ MetricName, Dimensions }) => [MetricName, Dimensions])).toEqual([
    [
      'disk_used_percent',
      [
        { Name: 'InstanceId', Value: instance?.instanceId },
        { Name: 'AutoScalingGroupName', Value: GROUP },
        { Name: 'path', Value: '/var/lib/chordfs' },
        { Name: 'fstype', Value: 'xfs' },
      ],
    ],
    ['disk_used_percent', [{ Name: 'AutoScalingGroupName', Value: GROUP }]],
  ]);
});

test('a second start finds the instances of the first under their ids, addresses and data', async () => {
  const first = await computeFixture();
  await first.deploy({ DesiredCapacity: 2 });
  const before = await until('two in service', () => {
    const found = first.compute.instances().filter(({ lifecycleState }) => lifecycleState === 'InService');
    return found.length === 2 ? found : undefined;
  });

  const earlier = await first.powerOff();
  const second = await given({ earlier });
  await second.compute.start();
  await second.deploy({ DesiredCapacity: 2 });

  const strip = ({ pid: _pid, ...rest }: (typeof before)[number]) => rest;
  expect(second.compute.instances().map(strip)).toEqual(before.map(strip));
  expect(second.compute.instances().every(({ pid }) => pid !== undefined)).toBe(true);
});

test('deleting the group terminates everything through its hooks', async () => {
  const { deploy, whenIn, compute, complete } = await given();
  await deploy({
    MinSize: 1,
    DesiredCapacity: 2,
    NewInstancesProtectedFromScaleIn: true,
    LifecycleHookSpecificationList: [hook('terminate', 'TERMINATING')],
  });
  await whenIn('InService', 2);

  const deleted = compute.deleteAutoScalingGroup(GROUP);
  for (const { instanceId } of await whenIn('Terminating:Wait', 2)) await complete(instanceId, 'terminate');
  await deleted;

  expect(compute.instances()).toEqual([]);
});
