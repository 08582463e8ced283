import type { IncomingHttpHeaders } from 'node:http';

export interface Validators {
  /** Without quotes; always a strong tag. */
  readonly etag: string;
  readonly modifiedMs: number;
}

const TAG = /(W\/)?"([^"]*)"|(\*)/g;

/** Tags of an If-Match or If-None-Match header without their quotes; `*` as itself. Undefined without a header. */
export function parseTags(
  header: string | undefined,
  { weak }: { readonly weak: 'accept' | 'ignore' },
): string[] | undefined {
  if (header === undefined) return undefined;
  const tags: string[] = [];
  for (const [, isWeak, tag, any] of header.matchAll(TAG)) {
    if (isWeak !== undefined && weak === 'ignore') continue;
    tags.push(any ?? tag ?? '');
  }
  return tags;
}

/** HTTP dates count whole seconds. */
function isModifiedSince(modifiedMs: number, date: string): boolean {
  const since = Date.parse(date);
  return !(Math.floor(modifiedMs / 1_000) * 1_000 <= since);
}

/** RFC 9110, 13.2.2, for GET and HEAD, in the order given there. */
export function evaluateConditions(
  headers: IncomingHttpHeaders,
  { etag, modifiedMs }: Validators,
): 'proceed' | 'not-modified' | 'failed' {
  const matches = (tags: readonly string[]) => tags.includes('*') || tags.includes(etag);
  const ifMatch = parseTags(headers['if-match'], { weak: 'ignore' });
  const unmodifiedSince = headers['if-unmodified-since'];
  if (ifMatch !== undefined) {
    if (!matches(ifMatch)) return 'failed';
  } else if (
    unmodifiedSince !== undefined &&
    !Number.isNaN(Date.parse(unmodifiedSince)) &&
    isModifiedSince(modifiedMs, unmodifiedSince)
  ) {
    return 'failed';
  }
  const ifNoneMatch = parseTags(headers['if-none-match'], { weak: 'accept' });
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch) ? 'not-modified' : 'proceed';
  const modifiedSince = headers['if-modified-since'];
  const isFresh = modifiedSince !== undefined && !isModifiedSince(modifiedMs, modifiedSince);
  return isFresh ? 'not-modified' : 'proceed';
}

/** RFC 9110, 13.1.5: a range is only worth something if it is a range of the version the client has. */
export function isRangeCurrent(headers: IncomingHttpHeaders, { etag, modifiedMs }: Validators): boolean {
  const ifRange = headers['if-range'];
  if (typeof ifRange !== 'string') return true;
  if (ifRange.includes('"')) return ifRange.trim() === `"${etag}"`;
  return Math.floor(modifiedMs / 1_000) * 1_000 === Date.parse(ifRange);
}
