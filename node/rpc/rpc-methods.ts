import type { Identifier } from '../../domain/identifier.ts';

/** Who a peer has proved to be, see `peer-handshake.ts`. */
export interface PeerIdentity {
  readonly id: Identifier;
  readonly instanceId: string;
  readonly incarnation: number;
}

/** The connection a call came in on. */
export interface RpcSession {
  /** In plain IPv4 or IPv6 form. */
  readonly remoteAddress: string;
  /** Undefined until the handshake is done: then only the methods open to everybody are found. */
  readonly peer: PeerIdentity | undefined;
}

/**
 * Answers one call. `signal` fires when the connection is gone or the server closes, and nobody waits any more.
 * @throws BadCallError, ChordfsError: told to the caller. Anything else is a bug, told as "internal error".
 */
export type RpcHandler = (params: readonly unknown[], session: RpcSession, signal: AbortSignal) => unknown;

/** The methods of one server, by name. Those in `peer` are not found by connections without a handshake. */
export class RpcMethods {
  readonly #open = new Map<string, RpcHandler>();
  readonly #peer = new Map<string, RpcHandler>();

  /** For everybody, authenticated or not. */
  addOpen(name: string, handler: RpcHandler): void {
    this.#open.set(name, handler);
  }

  /** For members of the ring alone. */
  addPeer(name: string, handler: RpcHandler): void {
    this.#peer.set(name, handler);
  }

  find(name: string, session: RpcSession): RpcHandler | undefined {
    return (session.peer === undefined ? undefined : this.#peer.get(name)) ?? this.#open.get(name);
  }
}
