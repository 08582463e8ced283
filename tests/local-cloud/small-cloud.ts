import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
import { type EndpointCall, openEndpoint } from '../../local/endpoint.ts';
import type { CloudClock } from '../../local/service.ts';
import { type Services, startServices } from '../../local/services.ts';
import { iamResources } from '../../local/template/resources/iam.ts';
import { lambdaResources } from '../../local/template/resources/lambda.ts';
import { eventResources, logResources, queueResources } from '../../local/template/resources/messaging.ts';
import { monitoringResources } from '../../local/template/resources/monitoring.ts';
import { storageResources } from '../../local/template/resources/storage.ts';
import { deployStack, type Stack } from '../../local/template/stack.ts';
import { parseTemplate } from '../../local/template/template.ts';

/** Where its functions' packages lie. */
const BUCKET = 'packages';

/** The local cloud without machines. */
export interface SmallCloud {
  readonly url: string;
  readonly services: Services;
  readonly calls: EndpointCall[];
  readonly lines: string[];
  /** Deploys resources; `functions` are the sources of packages, by name of the archive. */
  deploy(resources: object, functions?: Readonly<Record<string, string>>): Promise<Stack>;
  stop(): Promise<void>;
}

export async function startSmallCloud(clock: CloudClock & { stop(): void }): Promise<SmallCloud> {
  const directory = await mkdtemp(join(tmpdir(), 'chordfs-test-'));
  const lines: string[] = [];
  const calls: EndpointCall[] = [];
  let url = '';
  const log = (line: string): void => void lines.push(line);
  const endpointUrl = (): string => url;
  const region = 'us-east-1';
  const services = await startServices({
    clock,
    region,
    directory,
    isKept: false,
    endpointUrl,
    log,
    alarms: undefined,
    groups: { groupArn: () => undefined, groupOf: () => undefined },
  });
  const { bridge, cloudWatch, credentials, dynamoDb, faults, iam, lambda, logs, s3, sqs, queueUrl, rpc } =
    services;
  const endpoint = await openEndpoint({
    port: 0,
    services: () => rpc,
    callers: credentials.callerOf,
    authorizer: services.authorizer,
    dynamoDb,
    lambda,
    s3,
    faults,
    control: () => ({ status: 404, headers: {}, body: '' }),
    killCaller: (session) => void lambda.find(session).crash(),
    state: () => ({ ok: true }),
    log,
    onCall: (call) => calls.push(call),
  });
  url = endpoint.url;
  const codeDirectory = join(directory, 'functions');
  const { readObject, authorizer } = services;
  await s3.putBucket(BUCKET);
  const handlers = {
    ...iamResources(iam),
    ...eventResources(bridge),
    ...queueResources(sqs, queueUrl),
    ...logResources(logs),
    ...storageResources(dynamoDb, s3),
    ...monitoringResources(cloudWatch),
    ...lambdaResources({
      lambda,
      faults,
      logs,
      credentials,
      authorizer,
      readObject,
      codeDirectory,
      endpointUrl,
    }),
  };
  return {
    url,
    services,
    calls,
    lines,
    async deploy(resources, functions = {}) {
      for (const [archive, source] of Object.entries(functions)) {
        await s3.put(BUCKET, `some/prefix/${archive}`, zipSync({ 'handler.mjs': strToU8(source) }));
      }
      const template = parseTemplate({ Resources: resources });
      return deployStack({ template, parameters: {}, stackName: 'small', region, handlers });
    },
    async stop() {
      clock.stop();
      await endpoint.stop();
      await services.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Resolves once `condition` holds; rejects at the deadline with what was waited for. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 60_000,
) {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const ALLOW_ALL = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
};

/** A function's resources: the function, its role and its log group. */
export function functionResources(name: string, properties: object = {}): Record<string, object> {
  return {
    [`${name}Role`]: {
      Type: 'AWS::IAM::Role',
      Properties: {
        RoleName: `${name}-role`,
        AssumeRolePolicyDocument: {},
        Policies: [{ PolicyName: 'all', PolicyDocument: ALLOW_ALL }],
      },
    },
    [`${name}Log`]: { Type: 'AWS::Logs::LogGroup', Properties: { LogGroupName: `/aws/lambda/${name}` } },
    [name]: {
      Type: 'AWS::Lambda::Function',
      DependsOn: [`${name}Log`],
      Properties: {
        FunctionName: name,
        Handler: 'handler.handler',
        Runtime: 'nodejs22.x',
        Role: { 'Fn::GetAtt': [`${name}Role`, 'Arn'] },
        Code: { S3Bucket: BUCKET, S3Key: `some/prefix/${name}.zip` },
        Timeout: 10,
        MemorySize: 256,
        ...properties,
      },
    },
  };
}
