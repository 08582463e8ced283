import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Context, Middleware } from 'koa';

export interface LingerLimits {
  /** Of the rest of a body. Raised: a refused client may waste more of the line. Lowered: large uploads see a reset. */
  readonly bytes: number;
  /** For all of it. */
  readonly totalMs: number;
  /** Without a byte. A client that has read its answer usually stops sending at once. */
  readonly silenceMs: number;
}

const LINGER_LIMITS: LingerLimits = { bytes: 1024 ** 3, totalMs: 60_000, silenceMs: 5_000 };

/**
 * Sees to it that an answer given in the middle of a body arrives (RFC 9112, 9.6).
 *
 * Most clients send everything before they read. If the connection were closed under their hands they would get a reset
 * instead of the answer; if it were kept and nobody read on, they would wait for ever. So the answer is sent at once,
 * the rest of the body is read and thrown away within bounds, and then the connection is closed.
 */
export function lingeringClose(limits: LingerLimits = LINGER_LIMITS): Middleware {
  return async (ctx, next) => {
    await next();
    // A body that nobody began to read is thrown away by Node itself.
    if (ctx.req.complete || !ctx.req.readableDidRead || ctx.headerSent || ctx.req.destroyed) return;
    const answer = bytesOf(ctx);
    ctx.set('Connection', 'close');
    // Koa ends the response when this ends; the answer is on its way long before that.
    ctx.body = Readable.from(answerAndDrain(ctx.req, { answer, limits }));
    ctx.length = answer.byteLength;
    ctx.flushHeaders();
  };
}

function bytesOf({ body }: Context): Buffer {
  if (body === undefined || body === null) return Buffer.alloc(0);
  return Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

async function* answerAndDrain(
  request: IncomingMessage,
  { answer, limits }: { readonly answer: Buffer; readonly limits: LingerLimits },
): AsyncGenerator<Buffer> {
  if (answer.byteLength > 0) yield answer;
  await drained(request, limits);
}

/** Resolves when the body has ended, its client has left, or a limit is reached. */
function drained(request: IncomingMessage, { bytes, totalMs, silenceMs }: LingerLimits): Promise<void> {
  return new Promise((resolve) => {
    let left = bytes;
    const finish = () => {
      clearTimeout(total);
      clearTimeout(silence);
      request.off('data', count).off('end', finish).off('close', finish).off('error', finish);
      resolve();
    };
    const count = (piece: Buffer) => {
      left -= piece.byteLength;
      silence.refresh();
      if (left < 0) finish();
    };
    const total = setTimeout(finish, totalMs);
    const silence = setTimeout(finish, silenceMs);
    request.on('data', count).once('end', finish).once('close', finish).once('error', finish);
    request.resume();
  });
}
