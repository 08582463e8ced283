import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ClusterCredentials } from './peer-handshake.ts';
import type { PeerIdentity, RpcMethods } from './rpc-methods.ts';
import { ServerConnection } from './server-connection.ts';

export interface RpcServerOptions {
  readonly methods: RpcMethods;
  /** Undefined: nobody can authenticate (yet, or ever in compatibility mode). Asked at every handshake. */
  readonly credentials?: (() => ClusterCredentials | undefined) | undefined;
  /** A peer's authenticated connection is gone: the first sign of a crash. Not called while closing. */
  readonly onPeerGone?: ((peer: PeerIdentity) => void) | undefined;
  /** A handler threw something that is neither a ChordfsError nor the caller's mistake. */
  readonly onBug?: ((error: unknown, method: string) => void) | undefined;
}

/** Since the start of the server. */
export interface RpcCounters {
  readonly connectionsOpen: number;
  readonly connectionsAccepted: number;
  /** Closed by a bound or a deadline, or because they did not speak MessagePack-RPC. */
  readonly connectionsAborted: number;
  readonly calls: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/**
 * Connections without a handshake, at once. At the bound the one that has been silent longest makes room, so holding
 * connections open never locks an honest caller out. Each costs some 10 KiB at rest.
 */
const MAX_OPEN_CONNECTIONS = 768;
/**
 * Connections the kernel holds until they are accepted; it caps this at its own bound. Full, it drops the packets of new
 * callers, who then try again after a second.
 */
const LISTEN_BACKLOG = 4_096;
/** How often deadlines are looked at; they are late by at most this. */
const SWEEP_MS = 1_000;

/** MessagePack-RPC over TCP. Every bad call is answered with an error or costs its connection; nothing else. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #listeners: Server[] = [];
  readonly #connections = new Set<ServerConnection>();
  readonly #sweeper: NodeJS.Timeout;
  #isClosing = false;
  #accepted = 0;
  #aborted = 0;
  #calls = 0;
  #bytesReceived = 0;
  #bytesSent = 0;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** May be called for several addresses. Resolves to the port; `port` 0 picks a free one. */
  async listen(host: string, port: number): Promise<number> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#accept(socket),
    );
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ host, port, backlog: LISTEN_BACKLOG }, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    // Out of file descriptors, for example: that caller is turned away, the next one is served.
    listener.on('error', () => undefined);
    this.#listeners.push(listener);
    return (listener.address() as AddressInfo).port;
  }

  counters(): RpcCounters {
    let bytesReceived = this.#bytesReceived;
    let bytesSent = this.#bytesSent;
    for (const connection of this.#connections) {
      bytesReceived += connection.bytesReceived;
      bytesSent += connection.bytesSent;
    }
    return {
      connectionsOpen: this.#connections.size,
      connectionsAccepted: this.#accepted,
      connectionsAborted: this.#aborted,
      calls: this.#calls,
      bytesReceived,
      bytesSent,
    };
  }

  /** Stops listening and drops every connection; handlers see their signal fire. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#sweeper);
    const closed = this.#listeners.map(
      (listener) => new Promise<void>((resolve) => listener.close(() => resolve())),
    );
    for (const connection of this.#connections) connection.abort('server closes');
    await Promise.all(closed);
  }

  #accept(socket: Socket): void {
    this.#accepted += 1;
    const connection = new ServerConnection(socket, {
      ...this.#options,
      onCall: () => {
        this.#calls += 1;
      },
      onClose: (closed, wasAborted) => this.#forget(closed, wasAborted),
    });
    this.#connections.add(connection);
    this.#makeRoom();
  }

  #forget(connection: ServerConnection, wasAborted: boolean): void {
    if (!this.#connections.delete(connection)) return;
    if (wasAborted) this.#aborted += 1;
    this.#bytesReceived += connection.bytesReceived;
    this.#bytesSent += connection.bytesSent;
    const { peer } = connection.session;
    if (peer !== undefined && !this.#isClosing) this.#options.onPeerGone?.(peer);
  }

  #makeRoom(): void {
    if (this.#connections.size <= MAX_OPEN_CONNECTIONS) return;
    let silent: ServerConnection | undefined;
    let openCount = 0;
    for (const connection of this.#connections) {
      if (connection.session.peer !== undefined) continue;
      openCount += 1;
      if (silent === undefined || connection.lastMessageMs < silent.lastMessageMs) silent = connection;
    }
    if (openCount > MAX_OPEN_CONNECTIONS) silent?.abort('too many connections');
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections) {
      const reason = connection.overdue(nowMs);
      if (reason !== undefined) connection.abort(reason);
    }
  }
}
