import { Agent, type IncomingMessage, request } from 'node:http';
import { ChordfsError, isErrorCode } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { type PeerCredentials, signPeerRequest } from '../http/peer-auth.ts';
import { decodeFrame, encodeFrame, type Frame, MAX_FRAME_BYTES, PEER_PATH } from './peer-frame.ts';
import type { PeerCallOptions, PeerMessage, Peers } from './peers.ts';

export interface PeerClientOptions {
  /** Own private address: outgoing connections start there, so that peers see them come from inside the VPC. */
  readonly localAddress: string;
  /** Asked for every request: a node learns ring id and key only when it joins. */
  readonly credentials: () => PeerCredentials;
  /** Connections to one peer. Raised: more parallel chunks. Lowered: requests queue. */
  readonly maxConnectionsPerPeer?: number;
}

const MAX_CONNECTIONS_PER_PEER = 64;
const IDLE_CONNECTIONS_PER_PEER = 8;

export interface PeerClient extends Peers {
  close(): void;
}

/** Members' requests to each other over HTTP/1.1 with connections kept open. */
export function createPeerClient(options: PeerClientOptions): PeerClient {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: options.maxConnectionsPerPeer ?? MAX_CONNECTIONS_PER_PEER,
    maxFreeSockets: IDLE_CONNECTIONS_PER_PEER,
    localAddress: options.localAddress,
    scheduling: 'lifo',
  });
  return {
    close: () => agent.destroy(),
    call: async (member, operation, message, callOptions) => {
      const frame = encodeFrame(message, { isSigned: true });
      const exchange = {
        agent,
        member,
        path: PEER_PATH + operation,
        frame,
        credentials: options.credentials(),
      };
      const first = await send(exchange, callOptions).catch(asStaleConnection);
      // The peer closed a kept connection just as it was used again: nothing was wrong with peer or request.
      return first === 'stale connection' ? await send(exchange, callOptions) : first;
    },
  };
}

interface Exchange {
  readonly agent: Agent;
  readonly member: RingMember;
  readonly path: string;
  readonly frame: Frame;
  readonly credentials: PeerCredentials;
}

class StaleConnection extends Error {
  override readonly name = 'StaleConnection';
}

function asStaleConnection(error: unknown): 'stale connection' {
  if (error instanceof StaleConnection) return 'stale connection';
  throw error;
}

function send(
  { agent, member, path, frame, credentials }: Exchange,
  { signal, timeoutMs }: PeerCallOptions,
): Promise<PeerMessage> {
  return new Promise((resolve, reject) => {
    const signed = signPeerRequest(
      { method: 'POST', path, headSha256: frame.headSha256, nowMs: Date.now() },
      credentials,
    );
    const outgoing = request({
      agent,
      host: member.privateIp,
      port: member.httpPort,
      method: 'POST',
      path,
      headers: { ...signed, 'content-length': frame.sizeBytes, 'content-type': 'application/octet-stream' },
    });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const fail = (error: unknown) =>
      end(() => {
        reject(error);
        outgoing.destroy();
      });
    const aborted = () => fail(signal.reason);
    const timer = setTimeout(
      () => fail(new ChordfsError('DEADLINE_EXCEEDED', { id: member.id, timeoutMs })),
      timeoutMs,
    );
    signal.addEventListener('abort', aborted, { once: true });
    outgoing.on('error', (cause) => {
      fail(outgoing.reusedSocket && isReset(cause) ? new StaleConnection() : unreachable(member, cause));
    });
    outgoing.on('response', (incoming) => {
      readReply(incoming).then(
        (reply) => end(() => resolve(reply)),
        (error: unknown) => fail(error instanceof ChordfsError ? error : unreachable(member, error)),
      );
    });
    for (const piece of frame.pieces.slice(0, -1)) outgoing.write(piece);
    outgoing.end(frame.pieces.at(-1));
  });
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function unreachable(member: RingMember, cause: unknown): ChordfsError {
  return new ChordfsError('PEER_UNREACHABLE', { id: member.id, privateIp: member.privateIp }, { cause });
}

async function readReply(incoming: IncomingMessage): Promise<PeerMessage> {
  const frame = await readBody(incoming);
  if (incoming.statusCode === 200) return decodeFrame(frame);
  const { head } = decodeFrame(frame);
  const { error, details } = head !== null && typeof head === 'object' ? (head as ErrorHead) : {};
  if (!isErrorCode(error)) throw new ChordfsError('PEER_UNREACHABLE', { status: incoming.statusCode ?? 0 });
  throw new ChordfsError(error, plainDetails(details));
}

interface ErrorHead {
  readonly error?: unknown;
  readonly details?: unknown;
}

function plainDetails(details: unknown): Record<string, string | number> {
  if (details === null || typeof details !== 'object') return {};
  const isPlain = (entry: [string, unknown]): entry is [string, string | number] =>
    typeof entry[1] === 'string' || typeof entry[1] === 'number';
  return Object.fromEntries(Object.entries(details).filter(isPlain));
}

/**
 * The whole body in one buffer of exactly its announced length.
 * @throws ChordfsError `INVALID_REQUEST` without a length or beyond MAX_FRAME_BYTES, `TRUNCATED_UPLOAD` when it ends early.
 */
export async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const sizeBytes = Number(incoming.headers['content-length'] ?? 'NaN');
  if (!(sizeBytes <= MAX_FRAME_BYTES))
    throw new ChordfsError('INVALID_REQUEST', { reason: 'content-length' });
  // Not from the shared pool: the payload is kept as a view, and would keep its neighbours with it.
  const body = Buffer.allocUnsafeSlow(sizeBytes);
  let filled = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    if (filled + piece.byteLength > sizeBytes) break;
    filled += piece.copy(body, filled);
  }
  if (filled !== sizeBytes) throw new ChordfsError('TRUNCATED_UPLOAD', { filled, sizeBytes });
  return body;
}
