import type { Caller, Service } from '../service.ts';
import type { HttpRequest, HttpResponse } from './http.ts';

/**
 * Serves one request of any AWS protocol: finds service and operation, runs it, answers in the caller's protocol.
 * Never rejects: garbage and bugs of an operation become AWS-shaped errors. `callers` maps an access key to its owner.
 */
export async function dispatch(
  _request: HttpRequest,
  _services: readonly Service[],
  _callers: (accessKeyId: string) => Caller,
): Promise<HttpResponse> {
  throw new Error('being built');
}

/** The service a request is meant for (`dynamodb`, `s3`, `monitoring`, ...); undefined when nothing tells. */
export function signingNameOf(_request: HttpRequest): string | undefined {
  return undefined;
}
