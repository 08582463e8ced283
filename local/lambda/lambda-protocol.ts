import type { HttpRequest, HttpResponse } from '../protocol/http.ts';
import { AwsError } from '../service.ts';
import type { LambdaFunction } from './function.ts';
import type { Lambda } from './lambda.ts';

const JSON_HEADERS = { 'content-type': 'application/json' };

function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpResponse {
  return { status, headers: { ...JSON_HEADERS, ...headers }, body: JSON.stringify(value) };
}

function configurationView({ configuration }: LambdaFunction) {
  return {
    FunctionName: configuration.functionName,
    FunctionArn: configuration.functionArn,
    Runtime: configuration.runtime,
    Role: configuration.roleArn,
    Handler: configuration.handler,
    Timeout: configuration.timeoutMs / 1000,
    MemorySize: configuration.memoryMiB,
    Version: '$LATEST',
    LastModified: new Date(configuration.modifiedMs).toISOString().replace('Z', '+0000'),
    State: 'Active',
  };
}

async function invoke(lambda: Lambda, name: string, request: HttpRequest): Promise<HttpResponse> {
  const payload = request.body.byteLength === 0 ? 'null' : Buffer.from(request.body).toString('utf8');
  try {
    JSON.parse(payload);
  } catch {
    throw new AwsError('InvalidRequestContentException', 'Could not parse request body into json.');
  }
  if (request.headers['x-amz-invocation-type'] === 'Event') {
    lambda.invokeAsync(name, payload);
    return { status: 202, headers: JSON_HEADERS, body: '' };
  }
  const outcome = await lambda.find(name).invoke(payload);
  if (outcome.kind === 'returned') return { status: 200, headers: JSON_HEADERS, body: outcome.payload };
  return json(200, outcome.error, { 'x-amz-function-error': 'Unhandled' });
}

function actionOf(method: string, functionName: string, rest: string | undefined): string {
  if (method === 'POST' && rest === 'invocations') return 'InvokeFunction';
  if (functionName === '') return 'ListFunctions';
  return rest === 'configuration' ? 'GetFunctionConfiguration' : 'GetFunction';
}

/** Lambda's REST protocol: Invoke, ListFunctions, GetFunction and GetFunctionConfiguration. */
export async function serveLambda(
  lambda: Lambda,
  request: HttpRequest,
  check: (action: string, input: { readonly FunctionName: string }) => void,
): Promise<HttpResponse> {
  try {
    const { pathname } = new URL(request.url, 'http://lambda');
    const [, name, rest] = /^\/2015-03-31\/functions\/?([^/]*)(?:\/(.*))?$/.exec(pathname) ?? [];
    const functionName = decodeURIComponent(name ?? '');
    check(actionOf(request.method, functionName, rest), { FunctionName: functionName });
    if (request.method === 'POST' && rest === 'invocations')
      return await invoke(lambda, functionName, request);
    if (request.method === 'GET' && name === '')
      return json(200, { Functions: lambda.functions().map(configurationView) });
    if (request.method === 'GET' && rest === 'configuration')
      return json(200, configurationView(lambda.find(functionName)));
    if (request.method === 'GET' && name !== undefined && rest === undefined) {
      return json(200, { Configuration: configurationView(lambda.find(functionName)) });
    }
    throw new AwsError(
      'UnknownOperationException',
      'The local cloud does not implement this operation.',
      404,
    );
  } catch (error) {
    if (error instanceof AwsError) {
      const body = { Type: 'User', Message: error.message, message: error.message };
      return json(error.status, body, { 'x-amzn-errortype': error.code });
    }
    if (error instanceof URIError) return json(400, { Message: error.message });
    throw error;
  }
}
