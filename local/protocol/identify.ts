import type { HttpRequest } from './http.ts';
import { MODELS, type ServiceModel } from './models.ts';

export type Protocol = 'query' | 'json' | 'cbor';

/** What can be said about a request before its service is asked. */
export interface Identity {
  /** Undefined when neither the signature nor the request's own names tell. */
  readonly signingName: string | undefined;
  readonly protocol: Protocol;
  readonly operation: string | undefined;
  /** '' when the request is unsigned. */
  readonly accessKeyId: string;
  /** Decoded form of a query request, else empty. */
  readonly form: URLSearchParams;
}

/** A form longer than this is no API request; parsing it would only cost memory. */
const MAX_FORM_BYTES = 1024 * 1024;

function header(request: HttpRequest, name: string): string {
  const value = request.headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}

/** `Credential=<access key>/<date>/<region>/<service>/aws4_request`, from the header or a presigned URL. */
function credentialScope(request: HttpRequest): { accessKeyId: string; signingName: string | undefined } {
  const query = request.url.indexOf('?');
  const presigned = query < 0 ? null : new URLSearchParams(request.url.slice(query)).get('X-Amz-Credential');
  const credential =
    /Credential=([^,\s]+)/.exec(header(request, 'authorization'))?.[1] ?? presigned ?? undefined;
  const [accessKeyId = '', , , signingName] = credential?.split('/') ?? [];
  return { accessKeyId, signingName };
}

function modelBy(matches: (model: ServiceModel) => boolean): string | undefined {
  return [...MODELS.values()].find(matches)?.signingName;
}

function formOf(request: HttpRequest): URLSearchParams {
  const query = request.url.indexOf('?');
  const form = new URLSearchParams(query < 0 ? '' : request.url.slice(query));
  const isForm = header(request, 'content-type').startsWith('application/x-www-form-urlencoded');
  if (isForm && request.body.byteLength <= MAX_FORM_BYTES) {
    for (const [key, value] of new URLSearchParams(Buffer.from(request.body).toString('utf8')))
      form.set(key, value);
  }
  return form;
}

/**
 * Which service, protocol and operation a request names. The signature's scope decides the service; unsigned
 * requests are recognised by `X-Amz-Target`, the rpc-v2-cbor path, or the API version.
 */
export function identify(request: HttpRequest): Identity {
  const scope = credentialScope(request);
  const cbor = /^\/service\/([\w.]+)\/operation\/(\w+)/.exec(request.url);
  if (cbor !== null && header(request, 'smithy-protocol') === 'rpc-v2-cbor') {
    const [, service, operation] = cbor;
    const signingName = scope.signingName ?? modelBy(({ targetPrefix }) => targetPrefix === service);
    return { ...scope, signingName, protocol: 'cbor', operation, form: new URLSearchParams() };
  }
  const target = header(request, 'x-amz-target');
  if (target !== '') {
    const dot = target.lastIndexOf('.');
    const prefix = target.slice(0, Math.max(dot, 0));
    const signingName = scope.signingName ?? modelBy(({ targetPrefix }) => targetPrefix === prefix);
    return {
      ...scope,
      signingName,
      protocol: 'json',
      operation: target.slice(dot + 1),
      form: new URLSearchParams(),
    };
  }
  const form = formOf(request);
  const version = form.get('Version');
  const signingName =
    scope.signingName ?? modelBy((model) => model.version !== undefined && model.version === version);
  return { ...scope, signingName, protocol: 'query', operation: form.get('Action') ?? undefined, form };
}
