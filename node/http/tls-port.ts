import {
  createServer as createPlainServer,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { DEFAULT_CIPHERS } from 'node:tls';
import { isOpenToAll } from './open-paths.ts';
import type { TlsOptions } from './tls-options.ts';

/**
 * A port that speaks TLS to clients and lets members in by the key of their ring.
 *
 * Members share no certificates, and with client certificates required they would have none to show. So they open TLS
 * with the ring's own key (RFC 5489, a pre-shared key with ephemeral Diffie-Hellman), which proves both sides to each
 * other and needs nobody to issue anything. While a stage is being moved to TLS, members that still speak plain HTTP
 * are heard as well: what they send is signed as ever. A client that speaks plain HTTP is told what to do instead.
 */
export interface TlsPortOptions {
  readonly tls: TlsOptions;
  /** What members of this node's ring open TLS with; undefined while it is in none. */
  readonly memberKey: () => MemberKey | undefined;
  readonly limits: ServerOptions;
  /** From the first byte of a connection to the end of its handshake. */
  readonly handshakeTimeoutMs: number;
  readonly handler: RequestListener;
}

/** A pre-shared key and the name it goes by. */
export interface MemberKey {
  readonly identity: string;
  readonly key: Buffer;
}

export const MEMBER_CIPHER = 'ECDHE-PSK-CHACHA20-POLY1305';
/** Node's own list without its catch-all at the end, which would let in pre-shared keys of every kind. */
const CIPHERS = [
  ...DEFAULT_CIPHERS.split(':').filter((cipher) => cipher !== 'HIGH' && cipher !== '!PSK'),
  MEMBER_CIPHER,
].join(':');
/** First byte of a TLS handshake; no HTTP request begins with it. */
const TLS_HANDSHAKE = 0x16;

/** Two HTTP servers behind one listening socket. */
export interface TlsPort {
  readonly socket: NetServer;
  readonly servers: readonly Server[];
  /** Ends every connection, in whatever state it is. */
  cut(): void;
}

export function createTlsPort({
  tls,
  memberKey,
  limits,
  handshakeTimeoutMs,
  handler,
}: TlsPortOptions): TlsPort {
  const secure = createTlsServer(
    {
      ...limits,
      ...tls,
      ciphers: CIPHERS,
      minVersion: 'TLSv1.2',
      handshakeTimeout: handshakeTimeoutMs,
      pskCallback: (_socket: unknown, identity: string) => {
        const known = memberKey();
        return known?.identity === identity ? known.key : null;
      },
    },
    handler,
  );
  // Nobody is there who could read an answer before the handshake is done, so nothing else would ever close it.
  secure.on('tlsClientError', (_error, connection) => connection.destroy());
  const plain = createPlainServer(limits, (request, response) => {
    if (isOpenToAll(request.url ?? '')) return handler(request, response);
    response.writeHead(400, 'Plain HTTP was sent to an HTTPS port', { Connection: 'close' });
    response.end('This server speaks HTTPS: write https:// instead of http://\n');
  });
  const connections = new Set<Socket>();
  const socket = createNetServer((connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
    sortOut(connection, { secure, plain, handshakeTimeoutMs });
  });
  // They never listen themselves, but it is what starts their watch over slow headers.
  socket.on('listening', () => [secure, plain].map((server) => server.emit('listening')));
  const cut = () => {
    for (const connection of connections) connection.destroy();
  };
  return { socket, servers: [secure, plain], cut };
}

function sortOut(
  connection: Socket,
  { secure, plain, handshakeTimeoutMs }: { secure: Server; plain: Server; handshakeTimeoutMs: number },
): void {
  const giveUp = () => connection.destroy();
  connection.on('error', giveUp);
  connection.setTimeout(handshakeTimeoutMs, giveUp);
  connection.once('data', (first: Buffer) => {
    connection.off('error', giveUp);
    connection.setTimeout(0);
    connection.off('timeout', giveUp);
    connection.pause();
    connection.unshift(first);
    (first[0] === TLS_HANDSHAKE ? secure : plain).emit('connection', connection);
    process.nextTick(() => connection.resume());
  });
}
