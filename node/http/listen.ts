import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, type Server as NetServer, type Socket, Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { oneAtATime } from './one-at-a-time.ts';
import type { TlsOptions } from './tls-options.ts';
import { createTlsPort, type MemberKey } from './tls-port.ts';

export interface ListenOptions {
  /** Every address this node has; each gets a socket of its own. */
  readonly addresses: readonly string[];
  /** 0 takes any free port, of each address its own. */
  readonly port: number;
  readonly tls?: TlsOptions | undefined;
  /** With TLS: what other members open it with, instead of a certificate. */
  readonly memberKey?: () => MemberKey | undefined;
  /** For the head of a request, and before it for a TLS handshake: a client that drips its bytes is gone after this. */
  readonly headTimeoutMs?: number;
  /** Whether the head of a request that asks before it sends its body would be let in. */
  readonly mayContinue?: (request: IncomingMessage) => boolean;
}

export interface ListeningServer {
  readonly endpoints: readonly { readonly address: string; readonly port: number }[];
  /**
   * For a node that goes in order. New connections are refused from now on; on those that are open, requests are
   * answered as before, and each answer is the last one of its connection. Resolves when all have ended, or after
   * `idleMs` once no request is under way, or at the latest after `longestMs`. Close it after that.
   */
  retire(limits: { readonly idleMs: number; readonly longestMs: number }): Promise<void>;
  /** Takes no new requests, lets those under way finish for up to `graceMs`, then cuts them. Safe to repeat. */
  close(graceMs: number): Promise<void>;
}

/** Of all request headers together. Raised: a client can make every connection cost more. */
const MAX_HEADER_BYTES = 16 * 1024;
const HEAD_TIMEOUT_MS = 20_000;
/** Without a byte in either direction. Also what a client may take to think in the middle of an upload. */
const IDLE_TIMEOUT_MS = 120_000;
/** Longer than load balancers keep theirs, so that it is never the server that closes under a request. */
const KEEP_ALIVE_MS = 75_000;
/** Per address. A connection costs about 20 KB. */
const MAX_CONNECTIONS = 4_096;
/** Of these, from one remote address: nobody alone can lock out other clients, or the members, who use the same port. */
const MAX_CONNECTIONS_PER_CLIENT = 3_072;

/** What listens, and the HTTP servers that its connections belong to: itself, or with TLS two of them. */
interface Port {
  readonly socket: NetServer;
  readonly servers: readonly Server[];
  cut(): void;
}

/** What is under way on all ports together. */
interface Traffic {
  isRetiring: boolean;
  answersUnderWay: number;
  onQuiet: () => void;
}

/** @throws The system's error (EADDRINUSE, EADDRNOTAVAIL) when one address cannot be bound; none is bound then. */
export async function listen(handler: RequestListener, options: ListenOptions): Promise<ListeningServer> {
  const ports: Port[] = [];
  const traffic: Traffic = { isRetiring: false, answersUnderWay: 0, onQuiet: () => undefined };
  const answer: RequestListener = (request, response) => {
    if (traffic.isRetiring) response.shouldKeepAlive = false;
    traffic.answersUnderWay++;
    response.once('close', () => {
      traffic.answersUnderWay--;
      if (traffic.answersUnderWay === 0) traffic.onQuiet();
    });
    return handler(request, response);
  };
  try {
    for (const address of options.addresses) {
      const port = newPort(answer, options);
      await bind(port.socket, address, options.port);
      ports.push(port);
    }
  } catch (error) {
    await closeAll(ports, 0);
    throw error;
  }
  let closing: Promise<void> | undefined;
  return {
    endpoints: ports.map(({ socket }) => {
      // A TCP server that listens has an address of this shape.
      const { address, port } = socket.address() as AddressInfo;
      return { address, port };
    }),
    retire: (limits) => retireAll(ports, traffic, limits),
    close: (graceMs) => {
      closing ??= closeAll(ports, graceMs);
      return closing;
    },
  };
}

function newPort(handle: RequestListener, options: ListenOptions): Port {
  const handler = oneAtATime(handle);
  const { tls, memberKey, mayContinue, headTimeoutMs = HEAD_TIMEOUT_MS } = options;
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headTimeoutMs,
    // A large file on a slow line takes hours; what must not take long is silence.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
  };
  const port =
    tls === undefined
      ? plainPort(createServer(limits, handler))
      : createTlsPort({
          ...{ tls, limits, handler },
          memberKey: memberKey ?? (() => undefined),
          handshakeTimeoutMs: headTimeoutMs,
        });
  port.socket.maxConnections = MAX_CONNECTIONS;
  limitEachClient(port.socket);
  for (const server of port.servers) guard(server, mayContinue ?? (() => true));
  return port;
}

function plainPort(server: Server): Port {
  return { socket: server, servers: [server], cut: () => server.closeAllConnections() };
}

function limitEachClient(server: NetServer): void {
  const counts = new Map<string, number>();
  server.on('connection', (connection: Socket) => {
    const { remoteAddress = '' } = connection;
    const count = (counts.get(remoteAddress) ?? 0) + 1;
    counts.set(remoteAddress, count);
    connection.once('close', () => {
      const left = (counts.get(remoteAddress) ?? 1) - 1;
      if (left === 0) counts.delete(remoteAddress);
      else counts.set(remoteAddress, left);
    });
    if (count > MAX_CONNECTIONS_PER_CLIENT) connection.destroy();
  });
}

function guard(server: Server, mayContinue: (request: IncomingMessage) => boolean): void {
  server.timeout = IDLE_TIMEOUT_MS;
  server.on('clientError', answerBrokenRequest);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // A client that will be refused is told so at once, instead of after it has sent its gigabytes.
    if (mayContinue(request)) response.writeContinue();
    else response.setHeader('Connection', 'close');
    server.emit('request', request, response);
  });
}

function bind(server: NetServer, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 1_024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const BROKEN_REQUESTS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_INVALID_EOF_STATE: '400 Upload incomplete',
};

/** Something that is HTTP but for a method that the parser does not know. */
const METHOD = /^[A-Z]{3,32} \S+ HTTP\/1\.[01]\r?\n/;

/** What the parser could not read still gets an answer, where there is somebody to read it. */
function answerBrokenRequest(error: Error, socket: Duplex): void {
  const code = 'code' in error ? String(error.code) : '';
  if (!socket.writable || code === 'ECONNRESET' || hasBegunToAnswer(socket)) {
    socket.destroy();
    return;
  }
  const isMethod =
    code === 'HPE_INVALID_METHOD' && 'rawPacket' in error && METHOD.test(String(error.rawPacket));
  const status = isMethod ? '501 Unsupported method' : (BROKEN_REQUESTS[code] ?? '400 Bad request syntax');
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** A second status line in the middle of an answer would be taken for content. */
function hasBegunToAnswer(socket: Duplex & { _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent ?? false;
}

async function closeAll(ports: readonly Port[], graceMs: number): Promise<void> {
  await Promise.all(ports.map((port) => closeOne(port, graceMs)));
}

function closeOne({ socket, servers, cut }: Port, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(cut, graceMs);
    socket.close(() => {
      clearTimeout(timer);
      resolve();
    });
    // Also ends what each server watches its connections with, where it is not the one that listens.
    for (const server of servers) server === socket ? server.closeIdleConnections() : server.close();
  });
}

/** Only the listening ends at once: a connection that is idle now may be just about to be used. */
function retireAll(
  ports: readonly Port[],
  traffic: Traffic,
  { idleMs, longestMs }: { readonly idleMs: number; readonly longestMs: number },
): Promise<void> {
  traffic.isRetiring = true;
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(idle);
      clearTimeout(longest);
      resolve();
    };
    // A connection on which nothing is asked may stay for ever: from here on only what is under way counts.
    const idle = setTimeout(() => {
      if (traffic.answersUnderWay === 0) end();
      else traffic.onQuiet = end;
    }, idleMs);
    const longest = setTimeout(end, longestMs);
    // Not the HTTP server's own `close`, which ends idle connections with it.
    const closed = ports.map(
      ({ socket }) => new Promise((done) => TcpServer.prototype.close.call(socket, done)),
    );
    void Promise.all(closed).then(end);
  });
}
