import { cbor, tag } from '@smithy/core/cbor';
import { AwsError } from '../service.ts';
import type { HttpResponse } from './http.ts';
import type { Identity, Protocol } from './identify.ts';
import type { ErrorNames, OperationSchema, ServiceModel } from './models.ts';
import { fromPlain, type PlainFormat, toPlain } from './plain-values.ts';
import { queryInput } from './query-input.ts';
import { contentOf, element, escapeXml } from './xml-output.ts';

/** An operation's outcome, on its way to one protocol. */
export interface Answer {
  readonly model: ServiceModel;
  readonly operation: string;
  readonly schema: OperationSchema | undefined;
  readonly requestId: string;
}

export interface Failure {
  readonly model: ServiceModel;
  readonly names: ErrorNames;
  readonly message: string;
  readonly status: number;
  readonly requestId: string;
}

/** One wire protocol, seen from the server. */
export interface Format {
  /** @throws AwsError when the body is not what the protocol or the schema says. */
  input(identity: Identity, body: Uint8Array, answer: Omit<Answer, 'requestId'>): unknown;
  output(answer: Answer, value: unknown): HttpResponse;
  failure(failure: Failure): HttpResponse;
}

const xmlHeaders = (requestId: string) => ({ 'content-type': 'text/xml', 'x-amzn-requestid': requestId });
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

function ec2Failure({ names, message, status, requestId }: Failure): HttpResponse {
  const error = element('Error', element('Code', names.query) + element('Message', escapeXml(message)));
  const body = element('Response', element('Errors', error) + element('RequestID', requestId));
  return { status, headers: xmlHeaders(requestId), body: DECLARATION + body };
}

const query: Format = {
  input(identity, _body, { model, schema }) {
    return schema === undefined
      ? Object.fromEntries(identity.form)
      : queryInput(schema.input, identity.form, { isEc2: model.isEc2 });
  },
  output({ model, operation, schema, requestId }, value) {
    const content = schema === undefined ? '' : contentOf(schema.output, value);
    const hasResult = schema?.output.isStructSchema() === true;
    const inner = model.isEc2
      ? element('requestId', requestId) + (hasResult ? content : element('return', 'true'))
      : (hasResult ? element(`${operation}Result`, content) : '') +
        element('ResponseMetadata', element('RequestId', requestId));
    const root = `${operation}Response`;
    const body = `${DECLARATION}<${root} xmlns="${model.xmlNamespace}">${inner}</${root}>`;
    return { status: 200, headers: xmlHeaders(requestId), body };
  },
  failure(failure) {
    const { model, names, message, status, requestId } = failure;
    if (model.isEc2) return ec2Failure(failure);
    const type = element('Type', status < 500 ? 'Sender' : 'Receiver');
    const error = element(
      'Error',
      type + element('Code', names.query) + element('Message', escapeXml(message)),
    );
    const body = `<ErrorResponse xmlns="${model.xmlNamespace}">${error}${element('RequestId', requestId)}</ErrorResponse>`;
    return { status, headers: xmlHeaders(requestId), body: DECLARATION + body };
  },
};

/** Clients that knew a service by its query protocol still switch on its old error codes. */
const queryErrorHeader = ({ model, names, status }: Failure): Record<string, string> =>
  model.isQueryCompatible
    ? { 'x-amzn-query-error': `${names.query};${status < 500 ? 'Sender' : 'Receiver'}` }
    : {};

const jsonValues: PlainFormat = {
  timestamp: (value) => value.getTime() / 1000,
  blob: (value) => Buffer.from(value).toString('base64'),
};
const jsonHeaders = (requestId: string) => ({
  'content-type': 'application/x-amz-json-1.1',
  'x-amzn-requestid': requestId,
});

function parseJson(body: Uint8Array): unknown {
  if (body.byteLength === 0) return {};
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    throw new AwsError('SerializationException', 'The request body is not valid JSON.');
  }
}

function asObject(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new AwsError('SerializationException', 'The request body is not an object.');
}

const json: Format = {
  input(_identity, body, { schema }) {
    const value = asObject(parseJson(body));
    return schema === undefined ? value : fromPlain(schema.input, value);
  },
  output({ schema, requestId }, value) {
    const plain = schema === undefined ? value : toPlain(schema.output, value, jsonValues);
    return { status: 200, headers: jsonHeaders(requestId), body: JSON.stringify(plain ?? {}) };
  },
  failure(failure) {
    const { names, message, status, requestId } = failure;
    const body = JSON.stringify({ __type: names.shape, message, Message: message });
    return { status, headers: { ...jsonHeaders(requestId), ...queryErrorHeader(failure) }, body };
  },
};

/** The encoder knows dates; it writes them as tag 1, epoch seconds. */
const cborValues: PlainFormat = {
  timestamp: (value) => tag({ tag: 1, value: value.getTime() / 1000 }),
  blob: (value) => value,
};
const cborHeaders = (requestId: string) => ({
  'content-type': 'application/cbor',
  'smithy-protocol': 'rpc-v2-cbor',
  'x-amzn-requestid': requestId,
});

function parseCbor(body: Uint8Array): unknown {
  if (body.byteLength === 0) return {};
  try {
    return cbor.deserialize(body);
  } catch {
    throw new AwsError('SerializationException', 'The request body is not valid CBOR.');
  }
}

const cborFormat: Format = {
  input(_identity, body, { schema }) {
    const value = asObject(parseCbor(body));
    return schema === undefined ? value : fromPlain(schema.input, value);
  },
  output({ schema, requestId }, value) {
    const plain = schema === undefined ? value : toPlain(schema.output, value, cborValues);
    return { status: 200, headers: cborHeaders(requestId), body: cbor.serialize(plain ?? {}) };
  },
  failure(failure) {
    const { names, message, status, requestId } = failure;
    const body = cbor.serialize({ __type: names.shape, message, Message: message });
    return { status, headers: { ...cborHeaders(requestId), ...queryErrorHeader(failure) }, body };
  },
};

export const FORMATS: Readonly<Record<Protocol, Format>> = { query, json, cbor: cborFormat };
