import { ChordfsError } from '../../domain/errors.ts';
import type { Member } from '../../domain/member.ts';
import { evidenceOf, unreachable } from './peer-evidence.ts';
import { type ClusterCredentials, shakeHands } from './peer-handshake.ts';
import { RpcConnection } from './rpc-connection.ts';
import type { PeerIdentity } from './rpc-methods.ts';
import { RttEstimate } from './rtt-estimate.ts';

/** Where a peer is, and which life of which instance is meant; `incarnation` undefined: any life. */
export type PeerTarget = Pick<Member, 'instanceId' | 'privateIp' | 'chordPort'> & {
  readonly incarnation: number | undefined;
};

export interface PeerCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For all of it, the connection included. Default: by the round trips measured to this peer, 50 to 500 ms. */
  readonly timeoutMs?: number | undefined;
}

export interface PeerPoolOptions {
  /** Asked at every handshake: the own incarnation may grow. */
  readonly credentials: () => ClusterCredentials;
  /** The own private address, so that peers see the call come from inside the VPC. */
  readonly localAddress?: string | undefined;
  /** An established connection ended: the process there died, or let go of it. */
  readonly onLost?: ((peer: PeerTarget) => void) | undefined;
}

export interface PoolCounters {
  readonly connectionsOpen: number;
  readonly connectionsOpened: number;
  readonly calls: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

const CONNECT_TIMEOUT_MS = 250;
const HANDSHAKE_TIMEOUT_MS = 500;
/** Connection and handshake together, at most. */
const OPEN_TIMEOUT_MS = CONNECT_TIMEOUT_MS + 2 * HANDSHAKE_TIMEOUT_MS;
/** Longer than any call: a connection to somebody outside the ring that was silent for so long is closed. */
const STRANGER_IDLE_MS = 30_000;
/**
 * Connections kept, silent ones beyond it are closed. Raised: file descriptors and memory in a ring of a thousand.
 * Lowered: new connections while nothing happens.
 */
const MAX_KEPT = 256;
/** Calls that wait for one connection to be established. Raised: a burst to a dead peer holds more memory. */
const MAX_WAITING_CALLS = 256;

interface Peer {
  target: PeerTarget;
  readonly rtt: RttEstimate;
  opening: Promise<RpcConnection> | undefined;
  open: RpcConnection | undefined;
  waiting: number;
  lastCallMs: number;
}

/** One connection to each peer, opened at the first call, kept, and opened again after it was lost. */
export class PeerPool {
  readonly #options: PeerPoolOptions;
  readonly #peers = new Map<string, Peer>();
  #isClosed = false;
  #opened = 0;
  #calls = 0;
  #bytesReceived = 0;
  #bytesSent = 0;

  constructor(options: PeerPoolOptions) {
    this.#options = options;
  }

  /**
   * @throws ChordfsError `PEER_UNREACHABLE` or `DEADLINE_EXCEEDED` (see `peer-evidence.ts`), or what the peer threw.
   * `PEER_UNREACHABLE` with evidence `refused` also when another life answers at that address: the one meant is gone.
   */
  async call(
    target: PeerTarget,
    method: string,
    params: readonly unknown[],
    { signal, timeoutMs }: PeerCallOptions = {},
  ): Promise<unknown> {
    if (this.#isClosed) throw new ChordfsError('NODE_DRAINING', { reason: 'pool closed' });
    signal?.throwIfAborted();
    const peer = this.#peerOf(target);
    const startMs = performance.now();
    peer.lastCallMs = startMs;
    const connection = peer.open ?? (await this.#connected(peer, timeoutMs));
    const sentMs = performance.now();
    this.#calls += 1;
    try {
      const result = await connection.call(method, params, {
        timeoutMs: timeoutMs === undefined ? peer.rtt.timeoutMs : Math.max(1, timeoutMs - (sentMs - startMs)),
        signal,
      });
      // A call with its own deadline does more than answer, so its time is not the network's.
      if (timeoutMs === undefined) peer.rtt.measured(performance.now() - sentMs);
      return result;
    } catch (error) {
      if (timeoutMs === undefined && evidenceOf(error) === 'timeout') peer.rtt.timedOut();
      throw error;
    }
  }

  /**
   * Lets go of connections to members that are no longer in the ring, once nothing was asked of them for a while: a
   * call under way would otherwise look like the death of its target.
   */
  retain(targets: readonly PeerTarget[]): void {
    const kept = new Set(targets.map(lifeKey));
    for (const [key, peer] of this.#peers) if (!kept.has(key)) this.#letGo(key, peer);
  }

  counters(): PoolCounters {
    const open = [...this.#peers.values()].flatMap((peer) => (peer.open === undefined ? [] : [peer.open]));
    return {
      connectionsOpen: open.length,
      connectionsOpened: this.#opened,
      calls: this.#calls,
      bytesReceived: open.reduce((sum, { bytesReceived }) => sum + bytesReceived, this.#bytesReceived),
      bytesSent: open.reduce((sum, { bytesSent }) => sum + bytesSent, this.#bytesSent),
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const peer of this.#peers.values()) peer.open?.close();
    this.#peers.clear();
  }

  /** Unless it is in use. */
  #letGo(key: string, peer: Peer): void {
    if (peer.waiting > 0 || peer.lastCallMs > performance.now() - STRANGER_IDLE_MS) return;
    this.#peers.delete(key);
    peer.open?.close();
  }

  #makeRoom(): void {
    if (this.#peers.size < MAX_KEPT) return;
    const [silent] = [...this.#peers].sort(([, a], [, b]) => a.lastCallMs - b.lastCallMs);
    if (silent !== undefined) this.#letGo(...silent);
  }

  #peerOf(target: PeerTarget): Peer {
    const key = lifeKey(target);
    const known = this.#peers.get(key);
    if (known !== undefined) return known;
    this.#makeRoom();
    const peer: Peer = {
      target,
      rtt: new RttEstimate(),
      opening: undefined,
      open: undefined,
      waiting: 0,
      lastCallMs: 0,
    };
    this.#peers.set(key, peer);
    return peer;
  }

  async #connected(peer: Peer, timeoutMs: number | undefined): Promise<RpcConnection> {
    const { privateIp: host, chordPort: port } = peer.target;
    if (peer.waiting >= MAX_WAITING_CALLS) {
      throw new ChordfsError('PEER_UNREACHABLE', { host, port, evidence: 'local' });
    }
    peer.waiting += 1;
    try {
      peer.opening ??= this.#open(peer).finally(() => {
        peer.opening = undefined;
      });
      return await before(peer.opening, timeoutMs ?? OPEN_TIMEOUT_MS, { host, port });
    } finally {
      peer.waiting -= 1;
    }
  }

  async #open(peer: Peer): Promise<RpcConnection> {
    const { privateIp: host, chordPort: port } = peer.target;
    this.#opened += 1;
    const connection = await RpcConnection.open({
      host,
      port,
      localAddress: this.#options.localAddress,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      onClose: () => this.#lost(peer),
    });
    try {
      const callee = await shakeHands(
        (method, params) => connection.call(method, params, { timeoutMs: HANDSHAKE_TIMEOUT_MS }),
        this.#options.credentials(),
      );
      if (!isLifeMeant(callee, peer.target)) {
        throw new ChordfsError('PEER_UNREACHABLE', { host, port, evidence: 'refused', reason: 'replaced' });
      }
    } catch (error) {
      connection.close();
      throw error;
    }
    if (this.#isClosed) connection.close();
    peer.open = connection;
    return connection;
  }

  #lost(peer: Peer): void {
    const connection = peer.open;
    if (connection === undefined) return;
    peer.open = undefined;
    this.#bytesReceived += connection.bytesReceived;
    this.#bytesSent += connection.bytesSent;
    const isRetained = this.#peers.get(lifeKey(peer.target)) === peer;
    if (isRetained && !this.#isClosed) this.#options.onLost?.(peer.target);
  }
}

function lifeKey({ instanceId, incarnation, privateIp, chordPort }: PeerTarget): string {
  return `${instanceId}/${incarnation}@${privateIp}:${chordPort}`;
}

/** A later life of the same instance is not the one meant either: it lost what the earlier one knew. */
function isLifeMeant(callee: PeerIdentity, target: PeerTarget): boolean {
  return (
    callee.instanceId === target.instanceId &&
    (target.incarnation === undefined || callee.incarnation === target.incarnation)
  );
}

/** Waits no longer than `timeoutMs`; what is waited for goes on for others. */
async function before<T>(
  promise: Promise<T>,
  timeoutMs: number,
  target: { readonly host: string; readonly port: number },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(unreachable(target, 'timeout')), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
