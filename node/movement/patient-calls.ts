import type { RingMember } from '../../domain/replica-placement.ts';
import { pause } from '../deadline.ts';
import { isTransportFailure, type PeerAnswer, type PeerCalls } from '../files/peer-calls.ts';
import type { Operation, RequestOf } from '../files/peer-operations.ts';

const ATTEMPTS = 3;
const RETRY_MS = 50;

/**
 * A call of movement's, repeated when it was lost on the way: among the thousands of a join one always is, and
 * comparing the whole arc again would cost more. Every operation is safe to repeat.
 */
export async function callPatiently<O extends Operation>(
  calls: PeerCalls,
  member: RingMember,
  operation: O,
  request: RequestOf<O>,
  options: {
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
    readonly payload?: Uint8Array | undefined;
  },
): Promise<PeerAnswer<O>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await calls.call(member, operation, request, options);
    } catch (error) {
      if (attempt === ATTEMPTS || !isTransportFailure(error)) throw error;
    }
    await pause(attempt * RETRY_MS, options.signal);
  }
}
