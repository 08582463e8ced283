import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClock } from '../../local/clock.ts';
import { eventually, functionResources, type SmallCloud, startSmallCloud } from './small-cloud.ts';

/** Writes two items with plain requests, as a function that dies between two writes would. */
const TWO_WRITES = `
const put = (pk) => fetch(process.env.AWS_ENDPOINT_URL, {
  method: 'POST',
  headers: {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-date': '20260101T000000Z',
    'x-amz-target': 'DynamoDB_20120810.PutItem',
    authorization: 'AWS4-HMAC-SHA256 Credential=' + process.env.AWS_ACCESS_KEY_ID + '/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
  },
  body: JSON.stringify({ TableName: 'members', Item: { pk: { S: pk } } }),
});
export const handler = async () => { await put('first'); await put('second'); console.log('done'); };`;

let cloud: SmallCloud;
beforeEach(async () => {
  // A minute of the cloud passes in a tenth of a second.
  cloud = await startSmallCloud(createClock(600));
  await cloud.deploy(
    {
      ...functionResources('Subject'),
      Table: {
        Type: 'AWS::DynamoDB::Table',
        Properties: {
          TableName: 'members',
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        },
      },
      Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'failed' } },
      Retries: {
        Type: 'AWS::Lambda::EventInvokeConfig',
        Properties: {
          FunctionName: { Ref: 'Subject' },
          Qualifier: '$LATEST',
          MaximumEventAgeInSeconds: 60,
          DestinationConfig: { OnFailure: { Destination: { 'Fn::GetAtt': ['Queue', 'Arn'] } } },
        },
      },
    },
    { 'Subject.zip': TWO_WRITES },
  );
});
afterEach(() => cloud.stop());

const keys = async () => (await cloud.services.dynamoDb.items('members')).map(({ pk }) => pk).sort();
const hasRun = () =>
  cloud.services.logs.events('/aws/lambda/Subject').some(({ message }) => message === 'done');

describe('a function that is killed after a write', () => {
  test.each([
    [0, ['first']],
    [1, ['first', 'second']],
  ])('with %d writes before it has done that one, and no more', async (skip, done) => {
    const { faults, lambda } = cloud.services;
    const isWrite = (call: { session: string; operation: string }) =>
      call.session === 'Subject' && call.operation === 'PutItem';
    const fault = faults.killCallerAfter(isWrite, skip);

    const outcome = await lambda.find('Subject').invoke('{}');

    expect(outcome.kind).toBe('crashed');
    expect(await keys()).toEqual(done);
    expect(fault.hits()).toBe(1);
    expect(hasRun()).toBe(false);
    // Once only: the retry goes through.
    expect((await lambda.find('Subject').invoke('{}')).kind).toBe('returned');
    expect(await keys()).toEqual(['first', 'second']);
  });
});

describe('while a service is away', () => {
  test('DynamoDB answers nobody, and has lost nothing afterwards', async () => {
    const client = new DynamoDBClient({
      endpoint: cloud.url,
      region: 'us-east-1',
      maxAttempts: 1,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    });
    const put = (pk: string) =>
      client.send(new PutItemCommand({ TableName: 'members', Item: { pk: { S: pk } } }));
    await put('before');
    const outage = cloud.services.faults.takeAway('dynamodb');

    await expect(put('meanwhile')).rejects.toThrow();
    outage.end();

    await put('after');
    expect(await keys()).toEqual(['after', 'before']);
    client.destroy();
  });

  test('EventBridge loses what AWS sends with its best effort, and keeps what it promises to send', async () => {
    const { bridge, faults } = cloud.services;
    const got: string[] = [];
    bridge.putRule({
      name: 'all',
      busName: 'default',
      description: undefined,
      eventPattern: JSON.stringify({ source: [{ prefix: 'aws.' }] }),
      scheduleExpression: undefined,
      isEnabled: true,
      targets: [],
    });
    // The rule has no target: what is handed to targets is seen where faults meet it.
    const deliveries = faults.deliveries;
    const deliver = (source: string) =>
      deliveries.meet({ event: { source }, ruleName: 'all', targetArn: 'arn:target' });
    const outage = faults.takeAway('events');

    expect(deliver('aws.autoscaling')).toEqual({ kind: 'drop' });
    const promised = deliver('aws.cloudwatch');
    if (promised?.kind !== 'hold') throw new Error('an alarm event was not kept');
    promised.held.push(() => got.push('alarm'));
    expect(got).toEqual([]);
    outage.end();

    expect(got).toEqual(['alarm']);
    expect(deliver('aws.autoscaling')).toBeUndefined();
  });

  test('Lambda keeps an invocation as long as its maximum age, and then gives it up', async () => {
    const { faults, lambda, sqs } = cloud.services;
    const outage = faults.takeAway('lambda');

    lambda.invokeAsync('Subject', '{"n":1}');
    await eventually('it is given up', () => sqs.find('failed').messages.length === 1);
    outage.end();

    expect(hasRun()).toBe(false);
    expect(JSON.parse(sqs.receive('failed', 1)[0]?.body ?? '')).toMatchObject({
      requestContext: { condition: 'EventAgeExceeded' },
      requestPayload: { n: 1 },
    });
    lambda.invokeAsync('Subject', '{}');
    await eventually('the next one runs', hasRun);
  });
});
