import type { Context, Middleware } from 'koa';
import { ChordfsError, type ErrorCode } from '../../domain/errors.ts';
import { escapeHtml, page } from './html.ts';
import { Refusal } from './refusal.ts';

/** What each code says in the status line, and what a person can do about it. */
const EXPLANATIONS: Readonly<Record<ErrorCode, readonly [reason: string, advice: string]>> = {
  FILE_NOT_FOUND: ['File not found', 'There is no file of this name. The list of all files is at /.'],
  INVALID_FILE_NAME: [
    'Invalid file name',
    'A name is 1 to 255 bytes of UTF-8, without a slash, and neither "." nor "..". Rename the file and try again.',
  ],
  INVALID_REQUEST: ['Bad request', 'The request is malformed. Send a multipart form with the field "files".'],
  TRUNCATED_UPLOAD: [
    'Upload incomplete',
    'The connection ended before the whole file had arrived. Nothing was stored; upload it again.',
  ],
  UNAUTHORIZED: ['Unauthorized', 'Log in with a user name and a password.'],
  INSTANCE_GIVEN_UP: ['Forbidden', 'This instance is no member'],
  FORBIDDEN: ['Forbidden', 'This request is not allowed here.'],
  FILE_EXISTS: [
    'File exists',
    'A file of this name exists and this server does not replace files. Use another name.',
  ],
  PRECONDITION_FAILED: [
    'Precondition failed',
    'The file has changed since you last read it. Read it again first.',
  ],
  RANGE_NOT_SATISFIABLE: ['Range not satisfiable', 'The range lies beyond the end of the file.'],
  NOT_OWNER: ['Ring is changing', 'Responsibility for this file is moving to another node. Try again.'],
  CORRUPT: [
    'Stored data is damaged',
    'No intact copy answered. Try again while the copies are being repaired.',
  ],
  NODE_NOT_READY: ['Node not ready', 'This node is still joining the ring. Try again, or ask another node.'],
  NODE_BUSY: [
    'Node is busy',
    'Others are waiting, and this transfer found no place or was too slow to keep it. Try again, or ask another node.',
  ],
  NODE_DRAINING: ['Node is leaving', 'This node is handing over its files. Ask another node.'],
  REPLICAS_UNAVAILABLE: [
    'Not enough copies',
    'Too few nodes answered. Try again. A change that was answered so may still become visible until it is made again.',
  ],
  PEER_UNREACHABLE: ['Node unreachable', 'A node that has a part of the answer did not answer. Try again.'],
  DEADLINE_EXCEEDED: [
    'Timed out',
    'The ring did not answer in time. Try again. A change that was answered so may still become visible until it is made again.',
  ],
  VOLUME_FULL: [
    'Volume full',
    'The disks that would hold this file are full. Nothing was changed. Delete something, or wait until the ring has grown.',
  ],
  STORAGE_FAILED: ['Storage failed', 'A disk reported an error. Try again, or ask another node.'],
};

interface Explained {
  readonly status: number;
  readonly code: string;
  readonly reason: string;
  readonly advice: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Undefined for what is a bug rather than an answer. */
export function explain(error: unknown): Explained | undefined {
  if (error instanceof Refusal) {
    const { status, reason, advice, headers } = error;
    return { status, code: 'REFUSED', reason, advice, headers };
  }
  if (!(error instanceof ChordfsError)) return undefined;
  const [reason, advice] = EXPLANATIONS[error.code];
  const headers: Record<string, string> = error.retryable ? { 'Retry-After': '1' } : {};
  return { status: error.status, code: error.code, reason, advice, headers };
}

const BUG: Explained = {
  status: 500,
  code: 'INTERNAL',
  reason: 'Internal error',
  advice: 'This is a defect of the server; its log says more. Trying another node may help.',
  headers: {},
};

/** The one place where errors become responses. Anything that is not an expected failure goes to `onBug` too. */
export function errorResponse(onBug: (error: unknown) => void): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const explained = explain(error);
      if (explained === undefined && !ctx.res.destroyed) onBug(error);
      respond(ctx, explained ?? BUG);
    }
  };
}

function respond(ctx: Context, { status, code, reason, advice, headers }: Explained): void {
  if (ctx.headerSent) {
    // Too late for a status: an end before the announced length is what tells the client.
    ctx.res.destroy();
    return;
  }
  ctx.status = status;
  ctx.message = reason;
  ctx.set({ ...headers, 'Cache-Control': 'no-store' });
  // uploadserver answers 401 without a body.
  if (status === 401) ctx.body = '';
  else if (ctx.accepts('html', 'json') === 'json') ctx.body = { error: code, status, reason, advice };
  else respondWithPage(ctx, { status, reason, advice });
}

function respondWithPage(
  ctx: Context,
  { status, reason, advice }: Pick<Explained, 'status' | 'reason' | 'advice'>,
): void {
  ctx.body = page({
    title: 'Error response',
    head: '<meta name="viewport" content="width=device-width" />\n<meta name="color-scheme" content="light dark">',
    body: `<h1>Error response</h1>
<p>Error code: ${status}</p>
<p>Message: ${escapeHtml(reason)}.</p>
<p>${escapeHtml(advice)}</p>
<p><a href="/">All files</a></p>`,
  });
  ctx.set('Content-Type', 'text/html;charset=utf-8');
}
