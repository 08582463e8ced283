import { ChordfsError } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { pause } from '../deadline.ts';
import type { PeerCalls } from '../files/peer-calls.ts';
import type { Ring } from '../ring/ring.ts';

const INTERVAL_MS = 500;
const CALL_TIMEOUT_MS = 1_000;

/**
 * Tells replicas that missed a write to compare with the others, until they have heard it or left the ring. Only who
 * is remembered, not what: the comparison finds that.
 */
export class Nudges {
  readonly #options: {
    readonly ring: Pick<Ring, 'snapshot'>;
    readonly calls: PeerCalls;
    readonly signal: AbortSignal;
  };
  readonly #owed = new Map<string, RingMember>();
  #isRunning = false;

  constructor(options: {
    readonly ring: Pick<Ring, 'snapshot'>;
    readonly calls: PeerCalls;
    readonly signal: AbortSignal;
  }) {
    this.#options = options;
  }

  add(member: RingMember): void {
    this.#owed.set(member.instanceId, member);
    if (this.#isRunning || this.#options.signal.aborted) return;
    this.#isRunning = true;
    void this.#work().finally(() => {
      this.#isRunning = false;
    });
  }

  async #work(): Promise<void> {
    const { ring, calls, signal } = this.#options;
    while (this.#owed.size > 0 && !signal.aborted) {
      await pause(INTERVAL_MS, signal).catch(() => undefined);
      const present = new Set(ring.snapshot().members.map(({ instanceId }) => instanceId));
      for (const [instanceId, member] of this.#owed) {
        const isHeard =
          !present.has(instanceId) ||
          (await calls
            .call(member, 'nudge', {}, { signal, timeoutMs: CALL_TIMEOUT_MS })
            .then(() => true, falseIfOperating));
        if (isHeard) this.#owed.delete(instanceId);
      }
    }
  }
}

function falseIfOperating(error: unknown): false {
  if (error instanceof ChordfsError) return false;
  throw error;
}
