import { AwsError } from './service.ts';

/** One page of a list, and where the next one begins. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextToken: string | undefined;
}

/**
 * Cuts a list into pages. Tokens are opaque to callers, as AWS's are.
 * @throws AwsError `code` for a token that this cloud never gave.
 */
export function pageOf<T>(
  all: readonly T[],
  request: { readonly nextToken: string | undefined; readonly maxItems: number; readonly code: string },
): Page<T> {
  const start = request.nextToken === undefined ? 0 : startOf(request.nextToken);
  if (start === undefined) throw new AwsError(request.code, 'The token is not valid.');
  const end = start + Math.max(1, request.maxItems);
  const nextToken = end < all.length ? Buffer.from(`from:${end}`).toString('base64url') : undefined;
  return { items: all.slice(start, end), nextToken };
}

function startOf(token: string): number | undefined {
  const match = /^from:(\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString('utf8'));
  return match === null ? undefined : Number(match[1]);
}
