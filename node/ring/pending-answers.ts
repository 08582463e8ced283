import { ChordfsError } from '../../domain/errors.ts';
import type { Answer, Request } from '../chord/message.ts';

/** The core may leave a call unanswered for good; the caller's own deadline has passed long before this. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Calls handed to the core and not answered. More: the peers are told that this node does not keep up. */
const MAX_PENDING = 4_096;

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly timer: NodeJS.Timeout;
}

/** Peers' calls on their way through the core: `received` goes in, `answer` comes out. */
export class PendingAnswers {
  readonly #pending = new Map<number, Pending>();
  #nextCallId = 0;

  /** @throws ChordfsError `DEADLINE_EXCEEDED`, also at once when too many calls wait already. */
  ask(request: Request, deliver: (callId: number, request: Request) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= MAX_PENDING) {
        reject(new ChordfsError('DEADLINE_EXCEEDED', { reason: 'too many calls' }));
        return;
      }
      this.#nextCallId += 1;
      const callId = this.#nextCallId;
      const timer = setTimeout(() => {
        this.#pending.delete(callId);
        reject(new ChordfsError('DEADLINE_EXCEEDED', { kind: request.kind }));
      }, ANSWER_TIMEOUT_MS);
      timer.unref();
      this.#pending.set(callId, { resolve, timer });
      deliver(callId, request);
    });
  }

  answer(callId: number, answer: Answer): void {
    const pending = this.#pending.get(callId);
    if (pending === undefined) return;
    this.#pending.delete(callId);
    clearTimeout(pending.timer);
    pending.resolve(answer);
  }
}
