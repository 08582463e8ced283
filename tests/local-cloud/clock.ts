import type { StoppableClock } from '../../local/clock.ts';

interface Waiting {
  readonly atCloudMs: number;
  readonly order: number;
  readonly task: () => void | Promise<void>;
}

/** A clock that a test moves by hand. Tasks run in the order of their time; each may schedule more. */
export interface ManualClock extends StoppableClock {
  /** Moves on by cloud ms; resolves when everything due has run. */
  advance(cloudMs: number): Promise<void>;
}

export function manualClock(timeScale = 1, startMs = 1_800_000_000_000): ManualClock {
  let cloudMs = 0;
  let order = 0;
  let waiting: Waiting[] = [];
  const next = (untilMs: number): Waiting | undefined => {
    const [first] = waiting
      .filter(({ atCloudMs }) => atCloudMs <= untilMs)
      .sort((a, b) => a.atCloudMs - b.atCloudMs || a.order - b.order);
    if (first !== undefined) waiting = waiting.filter((entry) => entry !== first);
    return first;
  };
  return {
    timeScale,
    now: () => startMs + cloudMs / timeScale,
    after(delayMs, task) {
      const entry = { atCloudMs: cloudMs + Math.max(0, delayMs), order: order++, task };
      waiting.push(entry);
      return { cancel: () => (waiting = waiting.filter((other) => other !== entry)) };
    },
    async advance(stepMs) {
      const untilMs = cloudMs + stepMs;
      for (let entry = next(untilMs); entry !== undefined; entry = next(untilMs)) {
        cloudMs = Math.max(cloudMs, entry.atCloudMs);
        await entry.task();
      }
      cloudMs = untilMs;
    },
    stop: () => (waiting = []),
  };
}
