import { ChordfsError } from '../../domain/errors.ts';
import type { Identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { orAborted, pause, withDeadline } from '../deadline.ts';
import type { Ring } from '../ring/ring.ts';
import type { PeerAnswer, PeerCalls } from './peer-calls.ts';
import type { Operation, RequestOf } from './peer-operations.ts';
import type { Placement } from './placement.ts';

export interface OwnerCallsOptions {
  readonly ring: Pick<Ring, 'lookup'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  /** A number in [0, 1): spreads the retries of many requests after an owner died. */
  readonly random: () => number;
}

/** Errors that mean "somebody else, or later": the change has not been refused on its merits. */
const TRY_AGAIN: ReadonlySet<string> = new Set([
  'NOT_OWNER',
  'NODE_NOT_READY',
  'NODE_DRAINING',
  'PEER_UNREACHABLE',
  'DEADLINE_EXCEEDED',
  'REPLICAS_UNAVAILABLE',
]);

const FIRST_BACKOFF_MS = 25;
const MAX_BACKOFF_MS = 400;

/** Takes a change to the owner of a name, wherever it is by now. Only for operations that are safe to repeat. */
export class OwnerCalls {
  readonly #options: OwnerCallsOptions;

  constructor(options: OwnerCallsOptions) {
    this.#options = options;
  }

  /**
   * @throws ChordfsError the owner's refusal, or, when no owner answered before the deadline, the last failure.
   */
  async call<O extends Operation>(
    key: Identifier,
    operation: O,
    request: RequestOf<O>,
    options: {
      readonly payload?: Uint8Array | undefined;
      readonly signal: AbortSignal;
      readonly deadlineMs: number;
      /** For one attempt; the next one asks again who the owner is. */
      readonly attemptMs: number;
    },
  ): Promise<PeerAnswer<O>> {
    let lastFailure: unknown;
    let backoffMs = FIRST_BACKOFF_MS;
    const attempts = async (signal: AbortSignal) => {
      for (let isFirst = true; ; isFirst = false) {
        try {
          // The view is nearly always right, and the owner itself says when it is not; asking first costs a round.
          const owner = isFirst ? this.#believedOwner(key) : await this.#confirmedOwner(key, signal);
          const { payload, attemptMs } = options;
          return await this.#options.calls.call(owner, operation, request, {
            payload,
            signal,
            timeoutMs: attemptMs,
          });
        } catch (error) {
          signal.throwIfAborted();
          lastFailure = failureOf(error, lastFailure);
        }
        await pause(backoffMs * (0.5 + this.#options.random()), signal);
        backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS);
      }
    };
    try {
      return await withDeadline({ signal: options.signal, timeoutMs: options.deadlineMs }, attempts);
    } catch (error) {
      const isOwnDeadline = error instanceof ChordfsError && error.code === 'DEADLINE_EXCEEDED';
      throw isOwnDeadline && lastFailure !== undefined && !options.signal.aborted
        ? unavailable(lastFailure)
        : error;
    }
  }

  #believedOwner(key: Identifier): RingMember {
    const owner = this.#options.placement.of(key).current[0];
    if (owner === undefined) throw new ChordfsError('NODE_NOT_READY', { key });
    return owner;
  }

  async #confirmedOwner(key: Identifier, signal: AbortSignal): Promise<RingMember> {
    const { owner } = await orAborted(this.#options.ring.lookup(key, { signal }), signal);
    return owner;
  }
}

/** What is remembered of a failed attempt; throws what no further attempt would change. */
function failureOf(error: unknown, earlier: unknown): ChordfsError {
  if (!(error instanceof ChordfsError)) throw error;
  if (TRY_AGAIN.has(error.code)) return error;
  // "Full" says that nothing is left of this attempt; what is left of an earlier one is not known.
  throw error.code === 'VOLUME_FULL' && earlier !== undefined ? unavailable(earlier) : error;
}

/** To a client "this node is not the owner" means nothing: what it can act on is that the copies are out of reach. */
function unavailable(cause: unknown): ChordfsError {
  const details = cause instanceof ChordfsError ? { reason: cause.code } : {};
  return new ChordfsError('REPLICAS_UNAVAILABLE', details, { cause });
}
