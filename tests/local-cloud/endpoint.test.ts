import { connect } from 'node:net';
import {
  CloudWatchClient,
  DescribeAlarmsCommand,
  GetMetricStatisticsCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, ListRulesCommand, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClock } from '../../local/clock.ts';
import { openEndpoint } from '../../local/endpoint.ts';
import { functionResources, type SmallCloud, startSmallCloud } from './small-cloud.ts';

let cloud: SmallCloud;
const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' };

beforeAll(async () => {
  cloud = await startSmallCloud(createClock(60));
  await cloud.deploy(
    {
      ...functionResources('Echo'),
      Table: {
        Type: 'AWS::DynamoDB::Table',
        Properties: {
          TableName: 'members',
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
          TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
        },
      },
      Bucket: { Type: 'AWS::S3::Bucket', Properties: { BucketName: 'bundles' } },
      Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'queue' } },
      Bus: { Type: 'AWS::Events::EventBus', Properties: { Name: 'own' } },
      BusLog: { Type: 'AWS::Logs::LogGroup', Properties: { LogGroupName: '/events/own' } },
      Rule: {
        Type: 'AWS::Events::Rule',
        Properties: {
          Name: 'log-everything',
          EventBusName: { Ref: 'Bus' },
          EventPattern: { source: [{ prefix: 'chordfs.' }] },
          Targets: [{ Id: 'log', Arn: { 'Fn::GetAtt': ['BusLog', 'Arn'] } }],
        },
      },
    },
    {
      'Echo.zip':
        'export const handler = async (event) => { if (event.fail) throw new Error("x"); return { got: event }; }',
    },
  );
});
afterAll(() => cloud.stop());

const client = () => ({ endpoint: cloud.url, region: 'us-east-1', credentials, maxAttempts: 1 });

/** A JSON request as SDKs without a client here send it. */
async function call(service: string, target: string, body: object): Promise<Response> {
  return fetch(cloud.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': target,
      authorization: `AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(body),
  });
}

function sent(bytes: string): Promise<void> {
  const { port } = new URL(cloud.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(bytes));
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
  });
}

describe('one endpoint serves', () => {
  test('DynamoDB, with conditional writes', async () => {
    const dynamoDb = new DynamoDBClient(client());
    const put = new PutItemCommand({
      TableName: 'members',
      Item: { pk: { S: 'a' }, n: { N: '1' } },
      ConditionExpression: 'attribute_not_exists(pk)',
    });
    await dynamoDb.send(put);
    await expect(dynamoDb.send(put)).rejects.toMatchObject({ name: 'ConditionalCheckFailedException' });
    const { Item } = await dynamoDb.send(
      new GetItemCommand({ TableName: 'members', Key: { pk: { S: 'a' } } }),
    );
    expect(Item?.['n']).toEqual({ N: '1' });
    expect(await cloud.services.dynamoDb.items('members')).toEqual([{ pk: 'a', n: 1 }]);
  });

  test('EventBridge, and what a rule writes to its log group', async () => {
    const events = new EventBridgeClient(client());
    const seen: string[] = [];
    const stop = cloud.services.bridge.onEvent('own', (event) => seen.push(event['detail-type']));
    const entry = {
      Source: 'chordfs.node',
      DetailType: 'Member Joined',
      Detail: '{"n":1}',
      EventBusName: 'own',
    };

    const { FailedEntryCount } = await events.send(new PutEventsCommand({ Entries: [entry] }));
    stop();

    expect(FailedEntryCount).toBe(0);
    expect(seen).toEqual(['Member Joined']);
    const { Rules } = await events.send(new ListRulesCommand({ EventBusName: 'own' }));
    expect(Rules?.map(({ Name, State }) => [Name, State])).toEqual([['log-everything', 'ENABLED']]);
    const answer = await call('logs', 'Logs_20140328.FilterLogEvents', {
      logGroupName: '/events/own',
      filterPattern: '"Member Joined"',
    });
    expect(await answer.json()).toMatchObject({ events: [{ message: expect.stringContaining('"n":1') }] });
  });

  test('CloudWatch metrics and alarms', async () => {
    const cloudWatch = new CloudWatchClient(client());
    const now = new Date();
    const metric = { Namespace: 'N', MetricName: 'm', Dimensions: [{ Name: 'd', Value: 'v' }] };
    const { Namespace, ...datum } = metric;
    await cloudWatch.send(
      new PutMetricDataCommand({
        Namespace,
        MetricData: [3, 9].map((Value) => ({ ...datum, Value, Timestamp: now })),
      }),
    );
    const { Datapoints } = await cloudWatch.send(
      new GetMetricStatisticsCommand({
        ...metric,
        StartTime: new Date(now.getTime() - 60_000),
        EndTime: new Date(now.getTime() + 60_000),
        Period: 60,
        Statistics: ['Maximum', 'Average'],
      }),
    );
    expect(Datapoints).toMatchObject([{ Maximum: 9, Average: 6 }]);

    const alarm = {
      ...metric,
      AlarmName: 'a',
      Statistic: 'Maximum',
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: 5,
      ComparisonOperator: 'GreaterThanThreshold',
      TreatMissingData: 'ignore',
    } as const;
    await cloudWatch.send(new PutMetricAlarmCommand(alarm));
    await cloudWatch.send(
      new SetAlarmStateCommand({ AlarmName: 'a', StateValue: 'ALARM', StateReason: 'test' }),
    );
    const { MetricAlarms } = await cloudWatch.send(new DescribeAlarmsCommand({ AlarmNames: ['a'] }));
    expect(MetricAlarms).toMatchObject([{ AlarmName: 'a', StateValue: 'ALARM', Threshold: 5 }]);
    await expect(
      cloudWatch.send(new SetAlarmStateCommand({ AlarmName: 'absent', StateValue: 'OK', StateReason: '' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFound' });
  });

  test('SQS: a received message is gone only once it is deleted', async () => {
    const QueueUrl = cloud.services.queueUrl('queue');
    await call('sqs', 'AmazonSQS.SendMessage', { QueueUrl, MessageBody: 'hello' });
    const received = await call('sqs', 'AmazonSQS.ReceiveMessage', { QueueUrl });
    const { Messages } = (await received.json()) as { Messages: { ReceiptHandle: string }[] };
    expect(Messages).toMatchObject([{ Body: 'hello', MD5OfBody: '5d41402abc4b2a76b9719d911017c592' }]);
    expect(cloud.services.sqs.find('queue').messages).toHaveLength(1);
    await call('sqs', 'AmazonSQS.DeleteMessage', { QueueUrl, ReceiptHandle: Messages[0]?.ReceiptHandle });
    expect(cloud.services.sqs.find('queue').messages).toEqual([]);
  });

  test('S3 objects, by path', async () => {
    const url = `${cloud.url}/bundles/some/key%20x.tgz`;
    expect((await fetch(url, { method: 'PUT', body: 'bytes' })).status).toBe(200);
    expect(await (await fetch(url)).text()).toBe('bytes');
    expect((await fetch(url, { method: 'HEAD' })).headers.get('content-length')).toBe('5');
    expect(await (await fetch(`${cloud.url}/bundles?list-type=2&prefix=some/`)).text()).toContain(
      '<Key>some/key x.tgz</Key>',
    );
    const body = '<Delete><Object><Key>some/key x.tgz</Key></Object></Delete>';
    expect(await (await fetch(`${cloud.url}/bundles?delete`, { method: 'POST', body })).text()).toContain(
      '<Deleted>',
    );
    expect((await fetch(url)).status).toBe(404);
  });

  test('uploads in the chunked encoding that SDKs sign', async () => {
    const url = `${cloud.url}/bundles/chunked`;
    const body = '5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA==\r\n\r\n';
    await fetch(url, { method: 'PUT', headers: { 'content-encoding': 'aws-chunked' }, body });
    expect(await (await fetch(url)).text()).toBe('hello world');
  });

  test('Lambda invocations', async () => {
    const url = `${cloud.url}/2015-03-31/functions/Echo/invocations`;
    const good = await fetch(url, { method: 'POST', body: '{"a":1}' });
    expect(await good.json()).toEqual({ got: { a: 1 } });
    const failed = await fetch(url, { method: 'POST', body: '{"fail":true}' });
    expect([failed.status, failed.headers.get('x-amz-function-error')]).toEqual([200, 'Unhandled']);
    const absent = await fetch(`${cloud.url}/2015-03-31/functions/Nobody/invocations`, {
      method: 'POST',
      body: '{}',
    });
    expect([absent.status, absent.headers.get('x-amzn-errortype')]).toEqual([
      404,
      'ResourceNotFoundException',
    ]);
  });
});

describe('a service on request', () => {
  const get = () =>
    new DynamoDBClient(client()).send(new GetItemCommand({ TableName: 'members', Key: { pk: { S: 'a' } } }));

  test('is taken away and given back', async () => {
    const fault = cloud.services.faults.takeAway('dynamodb');
    await expect(get()).rejects.toThrow();
    fault.end();
    await expect(get()).resolves.toBeDefined();
  });

  test('throttles', async () => {
    const fault = cloud.services.faults.throttle(
      ({ service, operation }) => service === 'dynamodb' && operation === 'GetItem',
      1,
    );
    await expect(get()).rejects.toMatchObject({ name: 'ThrottlingException' });
    await expect(get()).resolves.toBeDefined();
    expect(fault.hits()).toBe(1);
  });

  test('does the work and loses the answer', async () => {
    const dynamoDb = new DynamoDBClient(client());
    cloud.services.faults.loseAnswers(({ operation }) => operation === 'PutItem', 1);
    await expect(
      dynamoDb.send(new PutItemCommand({ TableName: 'members', Item: { pk: { S: 'lost' } } })),
    ).rejects.toThrow();
    expect(await cloud.services.dynamoDb.items('members')).toContainEqual({ pk: 'lost' });
  });
});

describe('the endpoint', () => {
  test('knows which role signs a call, and refuses what the role may not do', async () => {
    const { accessKeyId } = cloud.services.credentials.issue('arn:aws:iam::000000000000:role/r');
    const events = new EventBridgeClient({ ...client(), credentials: { accessKeyId, secretAccessKey: 's' } });
    await expect(events.send(new ListRulesCommand({}))).rejects.toMatchObject({
      name: 'AccessDeniedException',
      message: expect.stringContaining('is not authorized to perform: events:ListRules'),
    });
    expect(cloud.calls.at(-1)).toMatchObject({
      service: 'events',
      operation: 'ListRules',
      caller: { roleArn: 'arn:aws:iam::000000000000:role/r' },
    });
  });

  test('survives hostile bytes', async () => {
    const { host } = new URL(cloud.url);
    await sent('\0\0\0\0 garbage \r\n\r\n');
    await sent(`POST // HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc`);
    await sent(`GET /%zz/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await sent(`GET /bundles/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await sent(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\nContent-Length: 100\r\n\r\n{`,
    );
    await sent(
      `POST /2015-03-31/functions/%ff/invocations HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{`,
    );
    expect(await (await fetch(`${cloud.url}/_chordfs/local`)).json()).toEqual({ ok: true });
  });

  test('does not leave the folder of a bucket', async () => {
    const answer = await fetch(`${cloud.url}/bundles/..%2f..%2fpackages%2fEcho.zip`);
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('InvalidURI')]);
  });

  test('says what to do when its port is taken', async () => {
    const { dynamoDb, lambda, s3, faults, authorizer, credentials: keys } = cloud.services;
    const port = Number(new URL(cloud.url).port);
    const options = {
      port,
      services: () => [],
      callers: keys.callerOf,
      authorizer,
      dynamoDb,
      lambda,
      s3,
      faults,
      control: () => ({ status: 404, headers: {}, body: '' }),
      killCaller: () => {},
      state: () => ({}),
      log: () => {},
    };
    await expect(openEndpoint(options)).rejects.toThrow(
      /is taken by another program: choose another with --port/,
    );
  });
});
