import { orAborted } from '../deadline.ts';

/**
 * Costly work that is the same for everybody: callers at the same time share one result, and one run follows another.
 *
 * Who comes while a run is under way gets the result of the next one: this one may have passed by what the caller has
 * just changed.
 */
export class SharedRun<T> {
  readonly #work: () => Promise<T>;
  #current: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  /** @param work Ends by a deadline of its own; it is not ended by callers that leave. */
  constructor(work: () => Promise<T>) {
    this.#work = work;
  }

  /** @throws the signal's reason when it fires first. */
  async result(signal: AbortSignal): Promise<T> {
    if (this.#next === undefined) {
      this.#next = this.#runAfter(this.#current);
      // Also when every caller has left.
      this.#next.catch(() => undefined);
    }
    return await orAborted(this.#next, signal);
  }

  async #runAfter(before: Promise<T> | undefined): Promise<T> {
    await before?.catch(() => undefined);
    const run = this.#work();
    this.#current = run;
    this.#next = undefined;
    try {
      return await run;
    } finally {
      // The result is large; it must not outlive its callers.
      if (this.#current === run) this.#current = undefined;
    }
  }
}
