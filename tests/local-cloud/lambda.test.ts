import { afterEach, describe, expect, test } from 'vitest';
import { createClock } from '../../local/clock.ts';
import { eventually, functionResources, type SmallCloud, startSmallCloud } from './small-cloud.ts';

let cloud: SmallCloud | undefined;
afterEach(() => cloud?.stop());

/** A minute of the cloud passes in 50 ms, so that retries do not take three. */
async function start(source: string, properties: object = {}, more: object = {}) {
  cloud = await startSmallCloud(createClock(1200));
  await cloud.deploy({ ...functionResources('Subject', properties), ...more }, { 'Subject.zip': source });
  const { services } = cloud;
  return { cloud, services, subject: services.lambda.find('Subject') };
}

describe('a packaged function', () => {
  test('runs with the environment and context that Lambda gives it, and nothing of this process', async () => {
    const { subject, services } = await start(
      `export const handler = async (event, context) => {
        console.log('hello', event.n);
        return { env: { ...process.env }, name: context.functionName, left: context.getRemainingTimeInMillis(), id: context.awsRequestId };
      }`,
      { Environment: { Variables: { TABLE: 'members' } } },
    );

    const outcome = await subject.invoke('{"n":7}');

    if (outcome.kind !== 'returned') throw new Error(JSON.stringify(outcome));
    const result = JSON.parse(outcome.payload);
    expect(result).toMatchObject({
      name: 'Subject',
      env: {
        TABLE: 'members',
        AWS_REGION: 'us-east-1',
        AWS_LAMBDA_FUNCTION_NAME: 'Subject',
        AWS_ENDPOINT_URL: cloud?.url,
      },
    });
    expect(result.env.PATH).toBeUndefined();
    expect(result.left).toBeGreaterThan(5_000);
    const { roleArn } = services.credentials.callerOf(result.env.AWS_ACCESS_KEY_ID);
    expect(roleArn).toBe('arn:aws:iam::000000000000:role/Subject-role');
    await eventually('its output is in its log group', () =>
      services.logs.events('/aws/lambda/Subject').some(({ message }) => message === 'hello 7'),
    );
  });

  test('keeps its globals between invocations and gets new environments for concurrent ones', async () => {
    const { subject } = await start(
      `import { existsSync, writeFileSync } from 'node:fs';
      let n = 0;
      export const handler = async ({ mine, other }) => {
        n += 1;
        if (mine !== undefined) writeFileSync(mine, '');
        while (other !== undefined && !existsSync(other)) await new Promise((r) => setTimeout(r, 5));
        return n;
      };`,
    );
    const folder = subject.configuration.codeDirectory;
    const meet = (mine: string, other: string): string =>
      JSON.stringify({ mine: `${folder}/${mine}`, other: `${folder}/${other}` });

    const one = await subject.invoke('{}');
    const two = await subject.invoke('{}');
    const both = await Promise.all([subject.invoke(meet('a', 'b')), subject.invoke(meet('b', 'a'))]);

    expect([one, two, ...both]).toEqual(
      ['1', '2', '3', '1'].map((payload) => ({ kind: 'returned', payload })),
    );
  });

  test('that throws, exits or hangs costs only its own invocation', async () => {
    const { subject } = await start(
      `export const handler = async ({ how }) => {
        if (how === 'throw') throw new TypeError('on purpose');
        if (how === 'exit') process.exit(3);
        if (how === 'hang') for (;;);
        return 'fine';
      }`,
      { Timeout: 1 },
    );
    expect(await subject.invoke('{"how":"throw"}')).toMatchObject({
      kind: 'threw',
      error: { errorType: 'TypeError', errorMessage: 'on purpose' },
    });
    expect(await subject.invoke('{"how":"exit"}')).toMatchObject({
      kind: 'crashed',
      error: { errorType: 'Runtime.ExitError' },
    });
    expect(await subject.invoke('{"how":"hang"}')).toMatchObject({
      kind: 'crashed',
      error: { errorMessage: expect.stringMatching(/Task timed out after 1.00 seconds/) },
    });
    expect(await subject.invoke('{}')).toEqual({ kind: 'returned', payload: '"fine"' });
  });

  test('that does not load says so', async () => {
    const { subject } = await start(`export const other = 1;`);
    expect(await subject.invoke('{}')).toMatchObject({
      kind: 'crashed',
      error: { errorMessage: 'handler.handler is undefined or not exported' },
    });
  });

  test('runs at most as often at once as it reserves', async () => {
    const { subject } = await start(`export const handler = () => new Promise((r) => setTimeout(r, 300));`, {
      ReservedConcurrentExecutions: 1,
    });
    const first = subject.invoke('{}');
    await expect(subject.invoke('{}')).rejects.toMatchObject({
      code: 'TooManyRequestsException',
      status: 429,
    });
    await first;
    expect(await subject.invoke('{}')).toMatchObject({ kind: 'returned' });
  });
});

const DESTINATION = {
  Failed: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'failed' } },
  Config: {
    Type: 'AWS::Lambda::EventInvokeConfig',
    Properties: {
      FunctionName: { Ref: 'Subject' },
      Qualifier: '$LATEST',
      MaximumRetryAttempts: 2,
      DestinationConfig: { OnFailure: { Destination: { 'Fn::GetAtt': ['Failed', 'Arn'] } } },
    },
  },
};

describe('an asynchronous invocation', () => {
  test('is retried twice, then goes to the on-failure destination', async () => {
    const { services } = await start(
      `export const handler = async () => { console.log('tried'); throw new Error('no'); }`,
      {},
      DESTINATION,
    );

    services.lambda.invokeAsync('Subject', '{"n":1}');
    await eventually('the event is given up', () => services.sqs.find('failed').messages.length > 0);

    const tries = services.logs.events('/aws/lambda/Subject').filter(({ message }) => message === 'tried');
    expect(tries).toHaveLength(3);
    expect(JSON.parse(services.sqs.receive('failed', 1)[0]?.body ?? '')).toMatchObject({
      requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 },
      requestPayload: { n: 1 },
      responsePayload: { errorType: 'Error', errorMessage: 'no' },
    });
  });

  test('survives a crash and throttling, and runs in the end', async () => {
    const { services } = await start(
      `export const handler = async () => { console.log('ran'); }`,
      {},
      DESTINATION,
    );
    const throttled = services.faults.throttleFunction('Subject', 3);
    const crashed = services.faults.crashFunction('Subject', 1);

    services.lambda.invokeAsync('Subject', '{}');

    await eventually('it runs', () =>
      services.logs.events('/aws/lambda/Subject').some(({ message }) => message === 'ran'),
    );
    expect([throttled.hits(), crashed.hits()]).toEqual([3, 1]);
    expect(services.sqs.find('failed').messages).toEqual([]);
  });
});

describe('a rule with a function as target', () => {
  const rule = (permission: object) => ({
    Rule: {
      Type: 'AWS::Events::Rule',
      Properties: {
        Name: 'rule',
        EventPattern: { source: ['test'] },
        Targets: [
          {
            Id: 't',
            Arn: { 'Fn::GetAtt': ['Subject', 'Arn'] },
            DeadLetterConfig: { Arn: { 'Fn::GetAtt': ['Dead', 'Arn'] } },
          },
        ],
      },
    },
    Dead: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'dead' } },
    DeadPolicy: {
      Type: 'AWS::SQS::QueuePolicy',
      Properties: {
        Queues: [{ Ref: 'Dead' }],
        PolicyDocument: {
          Statement: [
            { Effect: 'Allow', Principal: { Service: 'events.amazonaws.com' }, Action: 'sqs:SendMessage' },
          ],
        },
      },
    },
    ...permission,
  });
  const emitted = { source: 'test', 'detail-type': 'Test', resources: [], detail: {} };
  const source = `export const handler = async (event) => { console.log('got ' + event.source); }`;

  test('invokes it when a permission names the rule', async () => {
    const SourceArn = { 'Fn::GetAtt': ['Rule', 'Arn'] };
    const properties = {
      FunctionName: { Ref: 'Subject' },
      Principal: 'events.amazonaws.com',
      Action: 'lambda:InvokeFunction',
      SourceArn,
    };
    const { services } = await start(
      source,
      {},
      rule({ Allowed: { Type: 'AWS::Lambda::Permission', Properties: properties } }),
    );
    services.bridge.emit(emitted);
    await eventually('it is invoked', () =>
      services.logs.events('/aws/lambda/Subject').some(({ message }) => message === 'got test'),
    );
  });

  test('writes a dead letter when none does', async () => {
    const { services } = await start(source, {}, rule({}));
    services.bridge.emit(emitted);
    await eventually('the event is buried', () => services.sqs.find('dead').messages.length === 1);
    expect(services.sqs.receive('dead', 1)[0]?.attributes).toMatchObject({ ERROR_CODE: 'NO_PERMISSIONS' });
  });
});
