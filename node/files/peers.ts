import type { RingMember } from '../../domain/replica-placement.ts';

/** A request or a reply between members: a JSON head, and the bytes of at most one chunk. */
export interface PeerMessage {
  readonly head: unknown;
  readonly payload?: Uint8Array | undefined;
}

export interface PeerCallOptions {
  readonly signal: AbortSignal;
  /** From the start of the call to the last byte of its reply. */
  readonly timeoutMs: number;
}

/** The way to other members. Implemented over HTTP, and by an in-memory network with faults in tests. */
export interface Peers {
  /**
   * Every operation is safe to repeat, so an implementation may send a request again on a fresh connection when a
   * kept one turns out to be closed.
   *
   * @throws ChordfsError the peer's own answer, or `PEER_UNREACHABLE`, `DEADLINE_EXCEEDED`; or the signal's reason.
   */
  call(
    member: RingMember,
    operation: string,
    message: PeerMessage,
    options: PeerCallOptions,
  ): Promise<PeerMessage>;
}
