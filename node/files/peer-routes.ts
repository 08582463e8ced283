import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Middleware } from 'koa';
import { ChordfsError } from '../../domain/errors.ts';
import { PEER_PREFIX } from '../http/open-paths.ts';
import { type PeerCredentials, verifyPeerRequest } from '../http/peer-auth.ts';
import type { PeerHandlers } from './peer-calls.ts';
import { readBody } from './peer-client.ts';
import { decodeFrame, encodeFrame, errorHead } from './peer-frame.ts';
import { isOperation, OPERATIONS } from './peer-operations.ts';
import type { PeerMessage } from './peers.ts';
import { Slots } from './slots.ts';

export interface PeerRoutesOptions {
  readonly handlers: PeerHandlers;
  /** Asked for every request; undefined while this node is in no ring: everything is refused then. */
  readonly credentials: () => PeerCredentials | undefined;
  /** Told of every error that is a bug rather than an answer; the peer gets a 500. */
  readonly onBug: (error: unknown) => void;
  /** Large bodies read at once, up to 4 MiB each; further ones wait in their sockets. Raised: memory. */
  readonly largeBodyCount?: number;
}

const LARGE_BODY_BYTES = 256 * 1024;
const LARGE_BODY_COUNT = 8;

/** Answers the requests of other members: the part of the HTTP server under `/_chordfs/peer/`. */
export function peerRoutes(options: PeerRoutesOptions): Middleware {
  const answer = peerListener(options);
  return async (ctx, next) => {
    if (!ctx.path.startsWith(PEER_PREFIX)) return await next();
    // Frames are written to the socket as they are: Koa's own response handling would copy and inspect them.
    ctx.respond = false;
    await answer(ctx.req, ctx.res);
  };
}

/** The same for a plain `http.Server`. Never rejects. */
export function peerListener(
  options: PeerRoutesOptions,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const largeBodies = new Slots(options.largeBodyCount ?? LARGE_BODY_COUNT);
  return async (req, res) => {
    const controller = new AbortController();
    // Also told of every normal end, when there is nothing left to stop.
    res.once('close', () => {
      if (!res.writableFinished)
        controller.abort(new ChordfsError('DEADLINE_EXCEEDED', { reason: 'peer hung up' }));
    });
    try {
      reply(res, 200, await answer({ req, options, largeBodies, signal: controller.signal }));
    } catch (error) {
      const isExpected = error instanceof ChordfsError;
      if (!isExpected) options.onBug(error);
      const told = isExpected ? error : new ChordfsError('STORAGE_FAILED', { reason: 'internal error' });
      // What is left of the body is not read: the connection cannot be used again.
      if (!req.complete) res.setHeader('connection', 'close');
      reply(res, told.status, { head: errorHead(told) });
    }
  };
}

interface Asked {
  readonly req: IncomingMessage;
  readonly options: PeerRoutesOptions;
  readonly largeBodies: Slots;
  readonly signal: AbortSignal;
}

async function answer({ req, options, largeBodies, signal }: Asked): Promise<PeerMessage> {
  const { url: path = '', method = '', headers } = req;
  const credentials = options.credentials();
  if (credentials === undefined) throw new ChordfsError('NODE_NOT_READY');
  const headSha256 = verifyPeerRequest({ method, path, headers, nowMs: Date.now() }, credentials);
  const work = async () =>
    run(path, { body: await readBody(req).catch(cutShort), headSha256, options, signal });
  // The slot is held until the bytes are durable, for so long are they in memory.
  const isLarge = Number(headers['content-length'] ?? '0') > LARGE_BODY_BYTES;
  return isLarge ? await largeBodies.run(signal, work) : await work();
}

/** The peer went away in the middle of what it sent: nothing is wrong here. */
function cutShort(error: unknown): never {
  if (error instanceof ChordfsError) throw error;
  throw new ChordfsError('TRUNCATED_UPLOAD', {}, { cause: error });
}

async function run(
  path: string,
  {
    body,
    headSha256,
    options,
    signal,
  }: {
    readonly body: Buffer;
    readonly headSha256: string;
    readonly options: PeerRoutesOptions;
    readonly signal: AbortSignal;
  },
): Promise<PeerMessage> {
  const { head, payload } = decodeFrame(body, { headSha256 });
  return await handlePeerMessage(options.handlers, path.slice(PEER_PREFIX.length), { head, payload }, signal);
}

type AnyHandler = (
  request: unknown,
  context: { readonly payload: Uint8Array | undefined; readonly signal: AbortSignal },
) => Promise<{ readonly reply: unknown; readonly payload?: Uint8Array | undefined }>;

/** From message to message, whatever carries them. @throws ChordfsError `INVALID_REQUEST` for what no member sends. */
export async function handlePeerMessage(
  handlers: PeerHandlers,
  operation: string,
  { head, payload }: PeerMessage,
  signal: AbortSignal,
): Promise<PeerMessage> {
  if (!isOperation(operation)) throw new ChordfsError('INVALID_REQUEST', { operation });
  const parsed = OPERATIONS[operation].request.safeParse(head);
  if (!parsed.success) throw new ChordfsError('INVALID_REQUEST', { operation });
  // The table pairs each operation with its request; the compiler cannot follow that through a union.
  const handle = handlers[operation] as AnyHandler;
  const answered = await handle(parsed.data, { payload, signal });
  return { head: answered.reply, payload: answered.payload };
}

function reply(res: ServerResponse, status: number, message: PeerMessage): void {
  if (res.destroyed || res.headersSent) return;
  const { pieces, sizeBytes } = encodeFrame(message, { isSigned: false });
  res.writeHead(status, { 'content-length': sizeBytes, 'content-type': 'application/octet-stream' });
  for (const piece of pieces.slice(0, -1)) res.write(piece);
  res.end(pieces.at(-1));
}
