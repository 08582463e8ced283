import { Agent, type IncomingMessage, request } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { ChordfsError, isErrorCode } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { PEER_PREFIX } from '../http/open-paths.ts';
import { memberKeyOf, type PeerCredentials, signPeerRequest } from '../http/peer-auth.ts';
import { MEMBER_CIPHER } from '../http/tls-port.ts';
import { decodeFrame, encodeFrame, type Frame, MAX_FRAME_BYTES } from './peer-frame.ts';
import type { PeerCallOptions, PeerMessage, Peers } from './peers.ts';

export interface PeerClientOptions {
  /** Own private address: outgoing connections start there, so that peers see them come from inside the VPC. */
  readonly localAddress: string;
  /** Asked for every request: a node learns ring id and key only when it joins. */
  readonly credentials: () => PeerCredentials;
  /** Opens TLS to peers with the ring's key; a peer that does not speak it yet is met in plain HTTP. */
  readonly isTls?: boolean;
  /** Connections to one peer. Raised: more parallel chunks. Lowered: requests queue. */
  readonly maxConnectionsPerPeer?: number;
}

const MAX_CONNECTIONS_PER_PEER = 64;
const IDLE_CONNECTIONS_PER_PEER = 8;

export interface PeerClient extends Peers {
  close(): void;
}

/** Members' requests to each other over HTTP/1.1 with connections kept open. */
export function createPeerClient({ isTls = false, ...options }: PeerClientOptions): PeerClient {
  const limits = {
    keepAlive: true,
    maxSockets: options.maxConnectionsPerPeer ?? MAX_CONNECTIONS_PER_PEER,
    maxFreeSockets: IDLE_CONNECTIONS_PER_PEER,
    localAddress: options.localAddress,
    scheduling: 'lifo',
  } as const;
  const plain: Way = { agent: new Agent(limits), fresh: new Agent(onceOnly(limits)), request };
  const secure = isTls ? memberTls(limits, options.credentials) : undefined;
  return {
    close: () => {
      for (const way of [plain, secure]) {
        way?.agent.destroy();
        way?.fresh.destroy();
      }
    },
    call: async (member, operation, message, callOptions) => {
      const frame = encodeFrame(message, { isSigned: true });
      const exchange = { member, path: PEER_PREFIX + operation, frame, credentials: options.credentials() };
      let way = secure ?? plain;
      let isFresh = false;
      // At most one step down and one fresh connection: each answer below ends the loop or changes what is tried.
      for (let attempt = 0; ; attempt++) {
        const answer = await send(exchange, { ...callOptions, way, isFresh }).catch(asSecondChance);
        if (!(answer instanceof SecondChance)) return answer;
        if (attempt === MAX_SECOND_CHANCES) throw unreachable(member, answer);
        if (answer.why === 'speaks no TLS') way = plain;
        // All other kept connections may be as dead: the peer was killed.
        else isFresh = true;
      }
    },
  };
}

/** How a request travels. */
interface Way {
  readonly agent: Agent;
  /** Connections for one exchange each. */
  readonly fresh: Agent;
  readonly request: typeof request;
}

type AgentLimits = ConstructorParameters<typeof Agent>[0];

function onceOnly(limits: AgentLimits): AgentLimits {
  return { ...limits, keepAlive: false };
}

function memberTls(limits: AgentLimits, credentials: () => PeerCredentials): Way {
  const secured = {
    ciphers: MEMBER_CIPHER,
    // Pre-shared keys of TLS 1.3 are another thing, made for resuming sessions.
    maxVersion: 'TLSv1.2' as const,
    // Whoever has the key is a member: no certificate is shown that could name a host.
    checkServerIdentity: () => undefined,
    pskCallback: () => {
      const { identity, key } = memberKeyOf(credentials());
      return { identity, psk: key };
    },
  };
  return {
    agent: new TlsAgent({ ...limits, ...secured }),
    fresh: new TlsAgent({ ...onceOnly(limits), ...secured }),
    request: requestTls,
  };
}

interface Exchange {
  readonly member: RingMember;
  readonly path: string;
  readonly frame: Frame;
  readonly credentials: PeerCredentials;
}

/** A kept connection may have been closed just as it was used again, and the step down to plain HTTP comes first. */
const MAX_SECOND_CHANCES = 2;

/** Nothing was wrong with peer or request, only with how it was sent. */
class SecondChance extends Error {
  override readonly name = 'SecondChance';
  readonly why: 'stale connection' | 'speaks no TLS';

  constructor(why: 'stale connection' | 'speaks no TLS') {
    super(why);
    this.why = why;
  }
}

function asSecondChance(error: unknown): SecondChance {
  if (error instanceof SecondChance) return error;
  throw error;
}

function send(
  { member, path, frame, credentials }: Exchange,
  { signal, timeoutMs, way, isFresh }: PeerCallOptions & { readonly way: Way; readonly isFresh: boolean },
): Promise<PeerMessage> {
  return new Promise((resolve, reject) => {
    const signed = signPeerRequest(
      { method: 'POST', path, headSha256: frame.headSha256, nowMs: Date.now() },
      credentials,
    );
    const outgoing = way.request({
      agent: isFresh ? way.fresh : way.agent,
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
      if (outgoing.reusedSocket && isReset(cause)) fail(new SecondChance('stale connection'));
      else fail(isPlainAnswer(cause) ? new SecondChance('speaks no TLS') : unreachable(member, cause));
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

/** What came back to the opening of TLS was no TLS: OpenSSL has no code of its own for it on every version. */
function isPlainAnswer(error: Error): boolean {
  return (
    'code' in error &&
    /^(EPROTO|ERR_SSL_)/.test(String(error.code)) &&
    /wrong version number/i.test(error.message)
  );
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
