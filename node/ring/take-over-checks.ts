import type { Identifier } from '../../domain/identifier.ts';

/** The half-open stretch (from, to] of the circle. */
export interface CheckedArc {
  readonly from: Identifier;
  readonly to: Identifier;
}

export type TakeOverCheck = (arc: CheckedArc, signal: AbortSignal) => Promise<void>;

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 1_000;

/**
 * Runs the check that must pass before a gained arc is spoken for, again and again until it passes. Without a
 * registered check (a ring without files) it passes at once.
 */
export class TakeOverChecks {
  readonly #open = new Set<number>();
  readonly #stopped = new AbortController();
  #check: TakeOverCheck | undefined;

  register(check: TakeOverCheck): void {
    this.#check = check;
  }

  /** The core may ask for the same check several times; it runs once. */
  run(checkId: number, arc: CheckedArc, onPassed: () => void): void {
    if (this.#open.has(checkId)) return;
    this.#open.add(checkId);
    const { signal } = this.#stopped;
    this.#attempt(arc, signal)
      .then(
        () => onPassed(),
        // Stopped: nobody waits any more.
        () => undefined,
      )
      .finally(() => this.#open.delete(checkId));
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #attempt(arc: CheckedArc, signal: AbortSignal): Promise<void> {
    for (let pauseMs = RETRY_MIN_MS; ; pauseMs = Math.min(RETRY_MAX_MS, 2 * pauseMs)) {
      signal.throwIfAborted();
      try {
        await this.#check?.(arc, signal);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
      }
    }
  }
}
