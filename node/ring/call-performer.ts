import type { ChordEffect, ChordEvent, FailureEvidence } from '../chord/event.ts';
import { evidenceOf } from '../rpc/peer-evidence.ts';
import type { PeerPool } from '../rpc/peer-pool.ts';
import { answerCodec, requestCodec } from './message-codec.ts';

/** The method of the core's own messages; the first parameter is the kind of request. */
export const CHORD_METHOD = 'ring.step';

/** Performs one `call` effect. Resolves to the event that ends it, at most about `timeoutMs` later. Never throws. */
export async function performCall(
  pool: PeerPool,
  effect: Extract<ChordEffect, { kind: 'call' }>,
): Promise<ChordEvent> {
  const { callId, to, request, timeoutMs } = effect;
  try {
    const wire = requestCodec.encode(request);
    const result = await pool.call(to, CHORD_METHOD, Array.isArray(wire) ? wire : [], { timeoutMs });
    return { kind: 'answered', callId, answer: answerCodec.decode(result) };
  } catch (error) {
    return { kind: 'failed', callId, evidence: failureEvidence(error) };
  }
}

/** Anything that is not a sign of death counts as silence, which proves nothing. */
function failureEvidence(error: unknown): FailureEvidence {
  switch (evidenceOf(error)) {
    case 'refused':
      return 'refused';
    case 'closed':
      return 'reset';
    default:
      return 'timeout';
  }
}
