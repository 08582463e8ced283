import { randomUUID } from 'node:crypto';
import type { ApiCall } from '../iam/access.ts';
import { AwsError, type Caller, type Service } from '../service.ts';
import { type Failure, FORMATS } from './formats.ts';
import type { HttpRequest, HttpResponse } from './http.ts';
import { type Identity, identify } from './identify.ts';
import { type LoadedModel, MODELS, type ServiceModel, UNKNOWN_MODEL } from './models.ts';
import { checkRequired } from './required.ts';

/** AWS names the missing operation differently on each protocol. */
function unknownOperation(identity: Identity): AwsError {
  const name = identity.operation ?? '';
  if (identity.protocol !== 'query') {
    return new AwsError(
      'UnknownOperationException',
      `This cloud has no operation ${name || '(none named)'}.`,
    );
  }
  if (name === '')
    return new AwsError('MissingAction', 'The request is missing an action or a required parameter.');
  return new AwsError('InvalidAction', `The action ${name} is not valid for this endpoint.`);
}

function unknownService(identity: Identity): AwsError {
  const asked =
    identity.signingName === undefined ? 'an unnamed service' : `the service ${identity.signingName}`;
  return new AwsError(
    'InvalidAction',
    `This cloud does not offer ${asked} (operation ${identity.operation ?? ''}).`,
  );
}

/** Anything that is not an AwsError is a bug of the local cloud: reported as such, never hidden as the caller's fault. */
function failureOf(
  error: unknown,
  context: { readonly model: ServiceModel; readonly loaded: LoadedModel; readonly requestId: string },
): Failure {
  const known =
    error instanceof AwsError
      ? error
      : new AwsError('InternalFailure', error instanceof Error ? error.message : String(error), 500);
  return {
    model: context.model,
    names: context.loaded.error(known.code),
    message: known.message,
    status: known.status,
    requestId: context.requestId,
  };
}

/** Refuses what a caller may not do. @throws AwsError */
export type Authorize = (caller: Caller, call: ApiCall) => void;

/**
 * Serves one request of any AWS RPC protocol (query, EC2 query, JSON 1.0 and 1.1, rpc-v2-cbor): finds service and
 * operation, runs it, answers in the caller's protocol. Never rejects: garbage and bugs of an operation become
 * AWS-shaped errors. `callers` maps an access key ('' when unsigned) to its owner.
 */
export async function dispatch(
  request: HttpRequest,
  services: readonly Service[],
  callers: (accessKeyId: string) => Caller,
  authorize: Authorize = () => undefined,
): Promise<HttpResponse> {
  const requestId = randomUUID();
  const identity = identify(request);
  const model = MODELS.get(identity.signingName ?? '') ?? UNKNOWN_MODEL;
  const format = FORMATS[identity.protocol];
  const loaded = await model.load();
  try {
    const service = services.find(({ signingName }) => signingName === identity.signingName);
    if (service === undefined) throw unknownService(identity);
    const operation = identity.operation ?? '';
    const run = Object.hasOwn(service.operations, operation) ? service.operations[operation] : undefined;
    if (run === undefined) throw unknownOperation(identity);
    const schema = loaded.operation(operation);
    const input = format.input(identity, request.body, { model, operation, schema });
    if (schema !== undefined) checkRequired(schema.input, input);
    const caller = callers(identity.accessKeyId);
    authorize(caller, { service: service.signingName, operation, input: input as ApiCall['input'] });
    const value = await run(input as never, caller);
    return format.output({ model, operation, schema, requestId }, value);
  } catch (error) {
    return format.failure(failureOf(error, { model, loaded, requestId }));
  }
}
