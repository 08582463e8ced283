import { ChordfsError } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Ring } from '../ring/ring.ts';
import { OPERATIONS, type Operation, type ReplyOf, type RequestOf } from './peer-operations.ts';
import type { PeerCallOptions, PeerMessage, Peers } from './peers.ts';

export interface PeerAnswer<O extends Operation> {
  readonly reply: ReplyOf<O>;
  readonly payload: Uint8Array | undefined;
}

export interface PeerContext {
  readonly payload: Uint8Array | undefined;
  readonly signal: AbortSignal;
  /** The payload has come from this process and over no wire: whoever sent it has hashed it. */
  readonly isOwn?: boolean;
}

/** What this node answers to each operation: the same code for other members and for itself. */
export type PeerHandlers = {
  readonly [O in Operation]: (
    request: RequestOf<O>,
    context: PeerContext,
  ) => Promise<{ readonly reply: ReplyOf<O>; readonly payload?: Uint8Array | undefined }>;
};

/**
 * Typed calls to members. A call to this node itself goes straight to its own handler, held to the same shape: what
 * the others would refuse must not be stored here alone.
 */
export class PeerCalls {
  readonly #ring: Pick<Ring, 'snapshot' | 'suspect'>;
  readonly #peers: Peers;
  readonly #local: () => PeerHandlers;

  constructor(options: {
    readonly ring: Pick<Ring, 'snapshot' | 'suspect'>;
    readonly peers: Peers;
    readonly local: () => PeerHandlers;
  }) {
    this.#ring = options.ring;
    this.#peers = options.peers;
    this.#local = options.local;
  }

  isSelf(member: RingMember): boolean {
    return member.instanceId === this.#ring.snapshot().self.instanceId;
  }

  /**
   * @throws ChordfsError the peer's answer, or `PEER_UNREACHABLE`, `DEADLINE_EXCEEDED`; `INVALID_REQUEST`; or the
   * signal's reason.
   */
  async call<O extends Operation>(
    member: RingMember,
    operation: O,
    request: RequestOf<O>,
    options: PeerCallOptions & { readonly payload?: Uint8Array | undefined },
  ): Promise<PeerAnswer<O>> {
    options.signal.throwIfAborted();
    const { payload } = options;
    if (this.isSelf(member)) {
      const parsed = OPERATIONS[operation].request.safeParse(request);
      if (!parsed.success) throw new ChordfsError('INVALID_REQUEST', { operation });
      const answer = await this.#local()[operation](parsed.data as RequestOf<O>, {
        payload,
        signal: options.signal,
        isOwn: true,
      });
      return { reply: answer.reply, payload: answer.payload };
    }
    const answer = await this.#send(member, operation, { head: request, payload }, options);
    const parsed = OPERATIONS[operation].reply.safeParse(answer.head);
    // It did answer, in good time: nobody is suspected of being dead for what they say.
    if (!parsed.success) throw new ChordfsError('PEER_UNREACHABLE', { operation, reason: 'malformed reply' });
    return { reply: parsed.data as ReplyOf<O>, payload: answer.payload };
  }

  async #send(
    member: RingMember,
    operation: Operation,
    message: PeerMessage,
    options: PeerCallOptions,
  ): Promise<PeerMessage> {
    try {
      return await this.#peers.call(member, operation, message, options);
    } catch (error) {
      if (isTransportFailure(error) && !options.signal.aborted) this.#ring.suspect(member);
      throw error;
    }
  }
}

/** Whether the peer itself is in doubt, rather than having answered with an error. */
export function isTransportFailure(error: unknown): boolean {
  return (
    error instanceof ChordfsError && (error.code === 'PEER_UNREACHABLE' || error.code === 'DEADLINE_EXCEEDED')
  );
}
