import {
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingGroupsCommand,
  DescribePoliciesCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient, DescribeAlarmsCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeInstancesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { cbor } from '@smithy/core/cbor';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { dispatch } from '../../local/protocol/dispatch.ts';
import { AwsError, type Caller, type Service } from '../../local/service.ts';
import { clientOptions, mounted } from './mounted.ts';

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function serve(signingName: string, operations: Service['operations']) {
  const seen: unknown[] = [];
  const recorded = Object.fromEntries(
    Object.entries(operations).map(([name, run]) => [
      name,
      (input: never, caller: Caller) => {
        seen.push(input);
        return run(input, caller);
      },
    ]),
  );
  const server = await mounted([{ signingName, operations: recorded }]);
  servers.push(server);
  return { options: clientOptions(server.url), url: server.url, seen };
}

const NAME = 'grüße & <files> "1"';
const CREATED = new Date('2026-01-02T03:04:05.678Z');

describe('query', () => {
  test('carries lists, numbers, booleans, dates and any text both ways', async () => {
    const group = {
      AutoScalingGroupName: NAME,
      MinSize: 1,
      MaxSize: 5,
      DesiredCapacity: 2,
      DefaultCooldown: 300,
      AvailabilityZones: ['us-east-1a'],
      HealthCheckType: 'EC2',
      CreatedTime: CREATED,
      NewInstancesProtectedFromScaleIn: false,
      Instances: [
        {
          InstanceId: 'i-1',
          AvailabilityZone: 'us-east-1a',
          LifecycleState: 'InService' as const,
          HealthStatus: 'Healthy',
          ProtectedFromScaleIn: true,
        },
      ],
      Tags: [{ Key: 'a', Value: '' }],
      hidden: 'internals stay inside',
    };
    const { options, seen } = await serve('autoscaling', {
      DescribeAutoScalingGroups: () => ({ AutoScalingGroups: [group] }),
    });
    const client = new AutoScalingClient(options);

    const answer = await client.send(
      new DescribeAutoScalingGroupsCommand({
        AutoScalingGroupNames: [NAME, 'b'],
        MaxRecords: 7,
        Filters: [{ Name: 'tag:x', Values: ['1', '2'] }],
      }),
    );

    expect(seen[0]).toEqual({
      AutoScalingGroupNames: [NAME, 'b'],
      MaxRecords: 7,
      Filters: [{ Name: 'tag:x', Values: ['1', '2'] }],
    });
    const { hidden: _hidden, ...visible } = group;
    expect(answer.AutoScalingGroups?.[0]).toMatchObject(visible);
    expect(answer.AutoScalingGroups?.[0]).not.toHaveProperty('hidden');
  });

  test('an operation without output answers, and its input arrives typed', async () => {
    const { options, seen } = await serve('autoscaling', { SetDesiredCapacity: () => undefined });

    await new AutoScalingClient(options).send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: 'g', DesiredCapacity: 3, HonorCooldown: true }),
    );

    expect(seen[0]).toEqual({ AutoScalingGroupName: 'g', DesiredCapacity: 3, HonorCooldown: true });
  });

  test.each([
    ['ValidationError', 'ValidationError', 'No active Lifecycle Action found with instance ID i-1'],
    ['ResourceContention', 'ResourceContentionFault', 'busy'],
    ['ScalingActivityInProgress', 'ScalingActivityInProgressFault', 'wait'],
  ])('the error %s reaches the SDK as %s with its message', async (code, name, message) => {
    const { options } = await serve('autoscaling', {
      CompleteLifecycleAction: () => {
        throw new AwsError(code, message);
      },
    });

    const call = new AutoScalingClient(options).send(
      new CompleteLifecycleActionCommand({
        AutoScalingGroupName: 'g',
        LifecycleHookName: 'h',
        LifecycleActionResult: 'CONTINUE',
      }),
    );

    await expect(call).rejects.toMatchObject({ name, message });
  });

  test('names the operation it does not have', async () => {
    const { options } = await serve('autoscaling', {});

    const call = new AutoScalingClient(options).send(new DescribePoliciesCommand({}));

    await expect(call).rejects.toMatchObject({
      name: 'InvalidAction',
      message: expect.stringContaining('DescribePolicies'),
    });
  });

  test('refuses a request without its required members in the words of AWS', async () => {
    const { url } = await serve('autoscaling', { SetDesiredCapacity: () => undefined });

    const answer = await fetch(url, {
      method: 'POST',
      body: new URLSearchParams({ Action: 'SetDesiredCapacity', Version: '2011-01-01' }),
    });

    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(
      "Value null at 'autoScalingGroupName' failed to satisfy constraint",
    );
  });
});

test('EC2 query: flat lists in, sets out, its own shape of errors', async () => {
  const { options, seen } = await serve('ec2', {
    DescribeInstances: (input: { InstanceIds?: string[] }) => {
      if (input.InstanceIds?.includes('i-0')) {
        throw new AwsError('InvalidInstanceID.NotFound', "The instance ID 'i-0' does not exist");
      }
      return {
        Reservations: [
          {
            ReservationId: 'r-1',
            Instances: [
              { InstanceId: 'i-1', State: { Code: 16, Name: 'running' }, Tags: [{ Key: 'k', Value: NAME }] },
            ],
          },
        ],
      };
    },
  });
  const client = new EC2Client(options);

  const answer = await client.send(
    new DescribeInstancesCommand({ InstanceIds: ['i-1'], Filters: [{ Name: 'tag:k', Values: ['a', 'b'] }] }),
  );

  expect(seen[0]).toEqual({ InstanceIds: ['i-1'], Filters: [{ Name: 'tag:k', Values: ['a', 'b'] }] });
  expect(answer.Reservations?.[0]?.Instances?.[0]).toMatchObject({
    InstanceId: 'i-1',
    State: { Code: 16, Name: 'running' },
    Tags: [{ Key: 'k', Value: NAME }],
  });
  await expect(client.send(new DescribeInstancesCommand({ InstanceIds: ['i-0'] }))).rejects.toMatchObject({
    name: 'InvalidInstanceID.NotFound',
  });
});

describe('CloudWatch', () => {
  const alarms = { MetricAlarms: [{ AlarmName: 'full', StateUpdatedTimestamp: CREATED, Threshold: 70.5 }] };

  test('JSON 1.0: dates and doubles both ways, errors by their modelled name', async () => {
    const { options, seen } = await serve('monitoring', {
      PutMetricData: () => undefined,
      DescribeAlarms: (input: { AlarmNames?: string[] }) => {
        if (input.AlarmNames?.[0] === 'none') throw new AwsError('ResourceNotFound', 'no such alarm', 404);
        return alarms;
      },
    });
    const client = new CloudWatchClient(options);

    await client.send(
      new PutMetricDataCommand({
        Namespace: 'CWAgent',
        MetricData: [{ MetricName: 'disk_used_percent', Timestamp: CREATED, Value: 12.5 }],
      }),
    );
    const answer = await client.send(new DescribeAlarmsCommand({}));

    expect(seen[0]).toEqual({
      Namespace: 'CWAgent',
      MetricData: [{ MetricName: 'disk_used_percent', Timestamp: CREATED, Value: 12.5 }],
    });
    expect(answer.MetricAlarms?.[0]).toMatchObject(alarms.MetricAlarms[0] ?? {});
    await expect(client.send(new DescribeAlarmsCommand({ AlarmNames: ['none'] }))).rejects.toMatchObject({
      message: 'no such alarm',
    });
  });

  test('rpc-v2-cbor, as boto3 speaks it', async () => {
    const { url, seen } = await serve('monitoring', { DescribeAlarms: () => alarms });

    const answer = await fetch(`${url}/service/GraniteServiceVersion20100801/operation/DescribeAlarms`, {
      method: 'POST',
      headers: { 'smithy-protocol': 'rpc-v2-cbor', 'content-type': 'application/cbor' },
      body: Buffer.from(cbor.serialize({ AlarmNames: ['full'], MaxRecords: 3 })),
    });

    expect(answer.headers.get('smithy-protocol')).toBe('rpc-v2-cbor');
    expect(seen[0]).toEqual({ AlarmNames: ['full'], MaxRecords: 3 });
    const body = cbor.deserialize(new Uint8Array(await answer.arrayBuffer()));
    expect(body.MetricAlarms[0]).toMatchObject({ AlarmName: 'full', Threshold: 70.5 });
    expect(body.MetricAlarms[0].StateUpdatedTimestamp).toMatchObject({
      tag: 1,
      value: CREATED.getTime() / 1000,
    });
  });
});

test('EventBridge: JSON 1.1', async () => {
  const { options, seen } = await serve('events', {
    PutEvents: () => ({ FailedEntryCount: 0, Entries: [{ EventId: '1' }] }),
  });

  const answer = await new EventBridgeClient(options).send(
    new PutEventsCommand({ Entries: [{ Source: 's', DetailType: 'd', Detail: '{}', Time: CREATED }] }),
  );

  expect(answer.Entries).toEqual([{ EventId: '1' }]);
  expect(seen[0]).toMatchObject({ Entries: [{ Source: 's', Time: CREATED }] });
});

describe('hostile input', () => {
  const services: Service[] = ['autoscaling', 'ec2', 'monitoring', 'logs'].map((signingName) => ({
    signingName,
    operations: {
      DescribeAutoScalingGroups: () => ({}),
      DescribeInstances: () => ({}),
      PutMetricData: () => undefined,
      CreateLogGroup: () => undefined,
    },
  }));
  const callers = (accessKeyId: string): Caller => ({ accessKeyId, roleArn: undefined });
  const header = fc.oneof(fc.string(), fc.constantFrom('application/x-www-form-urlencoded', 'rpc-v2-cbor'));
  const scope = fc.constantFrom('autoscaling', 'ec2', 'monitoring', 'logs', 'nonsense', '__proto__');
  const target = fc.constantFrom(
    'GraniteServiceVersion20100801.PutMetricData',
    'Logs_20140328.CreateLogGroup',
    '',
  );
  const url = fc.constantFrom(
    '/',
    '/?Action=DescribeInstances&Filter.1.Name=%FF&Filter.99999.Value.x=1&MaxResults=NaN',
    '/?Action=DescribeAutoScalingGroups&MaxRecords=1e999&AutoScalingGroupNames.member.member.1=2',
    '/?Action=constructor&Version=2011-01-01',
    '/service/GraniteServiceVersion20100801/operation/PutMetricData',
  );

  test('never rejects and always answers with an error or a result', async () => {
    await fc.assert(
      fc.asyncProperty(
        url,
        header,
        header,
        target,
        scope,
        fc.uint8Array({ maxLength: 300 }),
        async (u, c, p, t, s, b) => {
          const headers = {
            authorization: `AWS4-HMAC-SHA256 Credential=A/20260101/r/${s}/aws4_request, SignedHeaders=a`,
            'content-type': c,
            'smithy-protocol': p,
            ...(t === '' ? {} : { 'x-amz-target': t }),
          };

          const { status } = await dispatch({ method: 'POST', url: u, headers, body: b }, services, callers);

          expect([200, 400]).toContain(status);
        },
      ),
      { numRuns: 500 },
    );
  });
});
