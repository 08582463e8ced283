import type { Member } from '../../domain/member.ts';
import { isPeer } from '../rpc/peer-handshake.ts';
import type { PeerCallOptions, PeerPool } from '../rpc/peer-pool.ts';
import { badArgument } from '../rpc/rpc-error.ts';
import type { PeerIdentity, RpcHandler, RpcMethods } from '../rpc/rpc-methods.ts';
import { MalformedError } from '../rpc/wire-codec.ts';

/**
 * Answers a member's call. `params` come from a member that holds the cluster key, and are still to be checked:
 * `wire-codec.ts` helps. @throws ChordfsError, which the caller gets as it is; MalformedError for bad parameters.
 */
export type PeerHandler = (
  params: readonly unknown[],
  peer: PeerIdentity,
  signal: AbortSignal,
) => Promise<unknown>;

/** Calls between members for the parts above the ring, on the ring's own pooled connections. */
export interface PeerRpc {
  /** Offers a method to members. Names are `part.verb`; register before the ring is entered. */
  handle(method: string, handler: PeerHandler): void;
  /**
   * Messages are at most 4 MiB. Not repeated on failure: the caller knows whether repeating is safe.
   * @throws ChordfsError `PEER_UNREACHABLE`, `DEADLINE_EXCEEDED`, or what the handler over there threw.
   */
  call(
    member: Member,
    method: string,
    params: readonly unknown[],
    options?: PeerCallOptions,
  ): Promise<unknown>;
}

export function peerRpc(methods: RpcMethods, pool: () => PeerPool): PeerRpc {
  return {
    handle: (method, handler) => methods.addPeer(method, peerHandler(method, handler)),
    call: (member, method, params, options) => pool().call(member, method, params, options),
  };
}

function peerHandler(method: string, handler: PeerHandler): RpcHandler {
  return async (params, session, signal) => {
    // `RpcMethods.find` has seen to it; the check tells the compiler.
    if (!isPeer(session)) throw badArgument(method, 'not a peer');
    try {
      return await handler(params, session.peer, signal);
    } catch (error) {
      if (error instanceof MalformedError) throw badArgument(method, error.message);
      throw error;
    }
  };
}
