import { XMLParser } from 'fast-xml-parser';
import type { HttpRequest, HttpResponse } from '../protocol/http.ts';
import { AwsError } from '../service.ts';
import type { S3, StoredObject } from './s3.ts';

const XML_HEADERS = { 'content-type': 'application/xml' };
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
/** DeleteObjects takes this many keys at most. */
const MAX_DELETES = 1_000;

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function xml(root: string, content: string, status = 200): HttpResponse {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${NAMESPACE}">${content}</${root}>`;
  return { status, headers: XML_HEADERS, body };
}

function objectHeaders(object: StoredObject): Record<string, string> {
  return {
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modifiedMs).toUTCString(),
    'content-type': 'application/octet-stream',
    ...Object.fromEntries(
      Object.entries(object.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]),
    ),
  };
}

function metadataOf({ headers }: HttpRequest): Record<string, string> {
  const entries = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), String(value)] as const] : [],
  );
  return Object.fromEntries(entries);
}

/**
 * SDKs send uploads in `aws-chunked` encoding when they sign a trailing checksum: each chunk is its size in hex, an
 * optional signature, the bytes; a size of 0 ends it and trailers follow.
 */
function decodeBody({ headers, body }: HttpRequest): Uint8Array {
  const isChunked = String(headers['content-encoding'] ?? '').includes('aws-chunked');
  const isStreaming = String(headers['x-amz-content-sha256'] ?? '').startsWith('STREAMING-');
  if (!isChunked && !isStreaming) return body;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const chunks: Buffer[] = [];
  let position = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', position);
    const size =
      lineEnd === -1 ? Number.NaN : Number.parseInt(bytes.toString('latin1', position, lineEnd), 16);
    if (!Number.isInteger(size) || lineEnd + 2 + size > bytes.length) {
      throw new AwsError('IncompleteBody', 'The request body terminated unexpectedly');
    }
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    position = lineEnd + 2 + size + 2;
  }
}

function listing(bucket: string, prefix: string, objects: readonly StoredObject[]): HttpResponse {
  const contents = objects.map(
    ({ key, sizeBytes, modifiedMs, etag }) =>
      `<Contents><Key>${escapeXml(key)}</Key><LastModified>${new Date(modifiedMs).toISOString()}</LastModified>` +
      `<ETag>&quot;${etag}&quot;</ETag><Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const head = `<Name>${escapeXml(bucket)}</Name><Prefix>${escapeXml(prefix)}</Prefix><KeyCount>${objects.length}</KeyCount>`;
  return xml(
    'ListBucketResult',
    `${head}<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>${contents.join('')}`,
  );
}

function keysToDelete(body: Uint8Array): string[] {
  const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'Object' });
  const document = parser.parse(Buffer.from(body).toString('utf8')) as {
    Delete?: { Object?: { Key?: unknown }[] };
  };
  const keys = (document.Delete?.Object ?? []).map(({ Key }) => String(Key));
  if (keys.length === 0 || keys.length > MAX_DELETES)
    throw new AwsError('MalformedXML', 'The XML was not well-formed.');
  return keys;
}

async function serveBucket(
  s3: S3,
  bucket: string,
  request: HttpRequest,
  query: URLSearchParams,
): Promise<HttpResponse> {
  if (request.method === 'PUT') {
    await s3.putBucket(bucket);
    return { status: 200, headers: { location: `/${bucket}` }, body: '' };
  }
  if (request.method === 'POST' && query.has('delete')) {
    const keys = keysToDelete(decodeBody(request));
    for (const key of keys) await s3.remove(bucket, key);
    return xml('DeleteResult', keys.map((key) => `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`).join(''));
  }
  if (request.method === 'DELETE') {
    await s3.deleteBucket(bucket);
    return { status: 204, headers: {}, body: '' };
  }
  const objects = await s3.list(bucket, query.get('prefix') ?? '');
  if (request.method === 'HEAD') return { status: 200, headers: {}, body: '' };
  if (request.method === 'GET') return listing(bucket, query.get('prefix') ?? '', objects);
  throw new AwsError('NotImplemented', 'The local cloud does not implement this operation on buckets.', 501);
}

async function serveObject(s3: S3, bucket: string, key: string, request: HttpRequest): Promise<HttpResponse> {
  switch (request.method) {
    case 'PUT': {
      const object = await s3.put(bucket, key, decodeBody(request), metadataOf(request));
      return { status: 200, headers: { etag: `"${object.etag}"` }, body: '' };
    }
    case 'GET': {
      const { object, body } = await s3.get(bucket, key);
      return { status: 200, headers: objectHeaders(object), body };
    }
    case 'HEAD': {
      const object = await s3.head(bucket, key);
      return {
        status: 200,
        headers: { ...objectHeaders(object), 'content-length': String(object.sizeBytes) },
        body: '',
      };
    }
    case 'DELETE':
      await s3.remove(bucket, key);
      return { status: 204, headers: {}, body: '' };
    default:
      throw new AwsError(
        'NotImplemented',
        'The local cloud does not implement this operation on objects.',
        501,
      );
  }
}

/** The action that S3 asks IAM about, which is not always the operation's name. */
function actionOf(method: string, bucket: string, key: string): string {
  if (bucket === '') return 'ListAllMyBuckets';
  if (key === '')
    return { PUT: 'CreateBucket', DELETE: 'DeleteBucket', POST: 'DeleteObject' }[method] ?? 'ListBucket';
  return { PUT: 'PutObject', DELETE: 'DeleteObject' }[method] ?? 'GetObject';
}

/** S3's REST protocol, path-style (`/bucket/key`), as SDKs speak it to an endpoint that is an address. */
export async function serveS3(
  s3: S3,
  request: HttpRequest,
  check: (action: string, input: { readonly bucket: string; readonly key: string }) => void,
): Promise<HttpResponse> {
  try {
    const url = new URL(request.url, 'http://s3');
    const [, bucket = '', key = ''] = /^\/([^/]*)\/?(.*)$/s.exec(decodeURIComponent(url.pathname)) ?? [];
    check(actionOf(request.method, bucket, key), { bucket, key });
    if (bucket === '') {
      const names = s3.buckets().map((name) => `<Bucket><Name>${escapeXml(name)}</Name></Bucket>`);
      return xml('ListAllMyBucketsResult', `<Buckets>${names.join('')}</Buckets>`);
    }
    if (!/^[a-z0-9][a-z0-9.-]{1,62}$/.test(bucket)) {
      throw new AwsError('InvalidBucketName', 'The specified bucket is not valid.');
    }
    return key === ''
      ? await serveBucket(s3, bucket, request, url.searchParams)
      : await serveObject(s3, bucket, key, request);
  } catch (error) {
    if (error instanceof URIError)
      return failure(new AwsError('InvalidURI', "Couldn't parse the specified URI."));
    if (error instanceof AwsError) return failure(error);
    throw error;
  }
}

function failure({ code, message, status }: AwsError): HttpResponse {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  return { status, headers: XML_HEADERS, body };
}
