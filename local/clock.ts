import type { CloudClock } from './service.ts';

/** Longest delay one timer can hold; Node fires longer ones at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The clock of one local cloud. `stop` cancels everything still waiting; nothing may be scheduled after it. */
export interface StoppableClock extends CloudClock {
  stop(): void;
}

export function createClock(timeScale: number): StoppableClock {
  const waiting = new Set<{ cancel(): void }>();
  let stopped = false;

  const after: CloudClock['after'] = (cloudMs, task) => {
    let timer: NodeJS.Timeout | undefined;
    const entry = {
      cancel() {
        clearTimeout(timer);
        waiting.delete(entry);
      },
    };
    const wait = (remainingMs: number): void => {
      const stepMs = Math.min(remainingMs, LONGEST_TIMER_MS);
      timer = setTimeout(() => {
        if (remainingMs > stepMs) return wait(remainingMs - stepMs);
        waiting.delete(entry);
        // A task that throws is a bug of the local cloud: the unhandled rejection ends the process.
        void (async () => task())();
      }, stepMs);
    };
    if (stopped) return entry;
    waiting.add(entry);
    wait(Math.max(0, cloudMs) / timeScale);
    return entry;
  };

  return {
    timeScale,
    now: () => Date.now(),
    after,
    stop() {
      stopped = true;
      for (const entry of [...waiting]) entry.cancel();
    },
  };
}
