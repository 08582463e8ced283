import { join } from 'node:path';
import { z } from 'zod';
import type { Faults } from '../../faults.ts';
import type { Authorizer, Principal } from '../../iam/authorizer.ts';
import type { Credentials } from '../../imds/credentials.ts';
import type { Lambda } from '../../lambda/lambda.ts';
import { unpackFunction } from '../../lambda/package.ts';
import type { Logs } from '../../logs/logs.ts';
import { ACCOUNT_ID } from '../../service.ts';
import {
  generatedName,
  type ResourceHandler,
  type ResourceHandlers,
  type ResourceRequest,
} from '../resource-handler.ts';
import { read, text, wholeNumber } from './properties.ts';

interface LambdaResourceOptions {
  readonly lambda: Lambda;
  readonly faults: Faults;
  readonly logs: Logs;
  readonly credentials: Credentials;
  readonly authorizer: Authorizer;
  /** Reads a package out of a bucket. */
  readonly readObject: (bucket: string, key: string) => Promise<Uint8Array>;
  /** Where they are unpacked, one folder a function. */
  readonly codeDirectory: string;
  readonly endpointUrl: () => string;
}

const functionSchema = z.object({
  FunctionName: z.string().optional(),
  Handler: z.string().regex(/\.[^./]+$/),
  Runtime: z.string().regex(/^nodejs\d+\.x$/),
  Role: z.string(),
  Code: z.object({ S3Bucket: z.string(), S3Key: z.string() }),
  MemorySize: wholeNumber.default(128),
  Timeout: wholeNumber.default(3),
  Environment: z.object({ Variables: z.record(z.string(), text).default({}) }).default({ Variables: {} }),
  ReservedConcurrentExecutions: wholeNumber.optional(),
  DeadLetterConfig: z.object({ TargetArn: z.string().optional() }).default({}),
  LoggingConfig: z.object({ LogGroup: z.string().optional() }).default({}),
});
type FunctionProperties = z.infer<typeof functionSchema>;

const invokeConfigSchema = z.object({
  FunctionName: z.string(),
  MaximumRetryAttempts: wholeNumber.min(0).max(2).default(2),
  MaximumEventAgeInSeconds: wholeNumber.default(21_600),
  DestinationConfig: z
    .object({
      OnFailure: z.object({ Destination: z.string() }).optional(),
      OnSuccess: z.object({ Destination: z.string() }).optional(),
    })
    .default({}),
});

const permissionSchema = z.object({
  FunctionName: z.string(),
  Principal: z.string(),
  SourceArn: z.string().optional(),
});

/** Lambda's own variables; the function's, from the template, come on top. */
function reservedVariables(
  request: ResourceRequest,
  facts: { readonly name: string; readonly codeDirectory: string; readonly logGroupName: string },
  properties: FunctionProperties,
): Record<string, string> {
  return {
    AWS_LAMBDA_FUNCTION_NAME: facts.name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(properties.MemorySize),
    AWS_LAMBDA_LOG_GROUP_NAME: facts.logGroupName,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_EXECUTION_ENV: `AWS_Lambda_${properties.Runtime}`,
    AWS_REGION: request.region,
    AWS_DEFAULT_REGION: request.region,
    LAMBDA_TASK_ROOT: facts.codeDirectory,
    _HANDLER: properties.Handler,
    TZ: ':UTC',
    // Lambda has no home with AWS profiles in it; the SDK must not find this machine's.
    HOME: facts.codeDirectory,
  };
}

/**
 * Lambda writes a function's lines with the function's own role, and creates a group that is missing if the role lets
 * it: that is how a late invocation brings back a group that was deleted with its stack.
 */
function roleLogger({ logs, authorizer }: LambdaResourceOptions, principal: Principal, region: string) {
  const opened = new Set<string>();
  return (group: string, stream: string, line: string): void => {
    const permits = (operation: string): boolean => {
      const resource = `arn:aws:logs:${region}:${ACCOUNT_ID}:log-group:${group}:log-stream:${stream}`;
      return authorizer.permits(principal, { action: `logs:${operation}`, resource, context: new Map() });
    };
    if (!logs.groups().has(group) && permits('CreateLogGroup')) logs.putGroup(group, undefined);
    if (!opened.has(stream) && !permits('CreateLogStream')) return;
    opened.add(stream);
    if (permits('PutLogEvents')) logs.write(group, stream, line);
  };
}

function lambdaFunction(options: LambdaResourceOptions): ResourceHandler {
  return async (request) => {
    const properties = read(functionSchema, request.properties);
    const name = properties.FunctionName ?? generatedName(request);
    const functionArn = `arn:aws:lambda:${request.region}:${ACCOUNT_ID}:function:${name}`;
    const codeDirectory = join(options.codeDirectory, name);
    const logGroupName = properties.LoggingConfig.LogGroup ?? `/aws/lambda/${name}`;
    const { S3Bucket, S3Key } = properties.Code;
    const archive = await options.readObject(S3Bucket, S3Key);
    await unpackFunction({ name: S3Key, archive }, codeDirectory);
    const keys = options.credentials.issue(properties.Role, name);
    await options.lambda.putFunction({
      faults: options.faults,
      log: roleLogger(options, { roleArn: properties.Role, session: name }, request.region),
      configuration: {
        functionName: name,
        functionArn,
        handler: properties.Handler,
        runtime: properties.Runtime,
        codeDirectory,
        memoryMiB: properties.MemorySize,
        timeoutMs: properties.Timeout * 1000,
        environment: {
          ...reservedVariables(request, { name, codeDirectory, logGroupName }, properties),
          ...properties.Environment.Variables,
          AWS_ACCESS_KEY_ID: keys.accessKeyId,
          AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
          AWS_SESSION_TOKEN: keys.sessionToken,
          AWS_ENDPOINT_URL: options.endpointUrl(),
        },
        reservedConcurrency: properties.ReservedConcurrentExecutions,
        roleArn: properties.Role,
        logGroupName,
        modifiedMs: Date.now(),
      },
    });
    options.lambda.configureAsync(name, { deadLetterArn: properties.DeadLetterConfig.TargetArn });
    return {
      ref: name,
      attributes: { Arn: functionArn },
      delete: () => options.lambda.deleteFunction(name),
    };
  };
}

export function lambdaResources(options: LambdaResourceOptions): ResourceHandlers {
  const { lambda } = options;
  return {
    'AWS::Lambda::Function': lambdaFunction(options),
    'AWS::Lambda::EventInvokeConfig'(request) {
      const properties = read(invokeConfigSchema, request.properties);
      lambda.configureAsync(lambda.find(properties.FunctionName).configuration.functionName, {
        maximumRetryAttempts: properties.MaximumRetryAttempts,
        maximumEventAgeMs: properties.MaximumEventAgeInSeconds * 1000,
        onFailureArn: properties.DestinationConfig.OnFailure?.Destination,
        onSuccessArn: properties.DestinationConfig.OnSuccess?.Destination,
      });
      return { ref: generatedName(request) };
    },
    'AWS::Lambda::Permission'(request) {
      const { FunctionName, Principal, SourceArn } = read(permissionSchema, request.properties);
      const id = generatedName(request);
      lambda.putPermission(id, { functionName: FunctionName, principal: Principal, sourceArn: SourceArn });
      return { ref: id, delete: () => lambda.deletePermission(id) };
    },
    // Versions are snapshots that nothing here invokes: the unqualified function is what runs.
    'AWS::Lambda::Version'(request) {
      const { FunctionName } = read(z.object({ FunctionName: z.string() }), request.properties);
      const arn = `${lambda.find(FunctionName).configuration.functionArn}:1`;
      return { ref: arn, attributes: { Version: '1', FunctionArn: arn } };
    },
  };
}
