import { setTimeout as pause } from 'node:timers/promises';

export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  facts?: Readonly<Record<string, unknown>>,
) => void;

/** The longest pause between failures, as a multiple of the period: a table that was away is found again soon. */
const MOST_BACKOFF = 4;

/**
 * Runs `work` every `periodMs` until the signal fires or `work` says `stop`. A failure is logged once, then the pause
 * doubles until it works again: the control plane may be away for hours without the log filling up.
 * @param work Gets the signal; must bound its own waits.
 * @param retryMs Instead of the doubled pause, for what somebody counts on hearing in time.
 */
export async function repeat(options: {
  readonly name: string;
  readonly periodMs: number;
  readonly retryMs?: number;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly work: (signal: AbortSignal) => Promise<'stop' | undefined>;
}): Promise<void> {
  const { name, periodMs, retryMs, signal, log, work } = options;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const outcome = await work(signal);
      if (failures > 0) log('info', 'background task works again', { task: name, failures });
      failures = 0;
      if (outcome === 'stop') return;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (failures === 1)
        log('warn', 'background task failed, goes on trying', { task: name, error: String(error) });
    }
    const backedOffMs = periodMs * Math.min(2 ** Math.min(failures, 8), MOST_BACKOFF);
    await sleep(failures > 0 ? (retryMs ?? backedOffMs) : periodMs, signal);
  }
}

/** Waits, or less when the signal fires; never throws. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}
