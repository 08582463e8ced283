import { ChordfsError } from '../../domain/errors.ts';

/** Waiting for something the core will tell once: that a phase was entered, that the ring was joined. */
export class Milestones<T extends string> {
  readonly #waiting = new Map<T, Set<() => void>>();

  reached(name: T): void {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    for (const resolve of waiting ?? []) resolve();
  }

  /** @throws ChordfsError `DEADLINE_EXCEEDED` when the signal fires first. */
  wait(name: T, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, waiting);
      const giveUp = (): void => {
        waiting.delete(arrive);
        reject(new ChordfsError('DEADLINE_EXCEEDED', { milestone: name }));
      };
      const arrive = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.add(arrive);
    });
  }
}
