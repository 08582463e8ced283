import { setTimeout as delay } from 'node:timers/promises';
import { ChordfsError } from '../domain/errors.ts';

/** Why what a settled task left behind is ended; never seen by a caller. */
const SETTLED = new Error('the task it belonged to has settled');

/**
 * Runs `task` with a signal that fires with the caller's, or with `DEADLINE_EXCEEDED` after `timeoutMs`, or once the
 * task has settled, so that attempts that lost a race end too. Timer and listener are gone when it settles;
 * `AbortSignal.any` would keep both for as long as the caller's signal lives.
 */
export async function withDeadline<T>(
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  const timer = setTimeout(
    () => controller.abort(new ChordfsError('DEADLINE_EXCEEDED', { timeoutMs })),
    timeoutMs,
  );
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await task(controller.signal);
  } finally {
    clearTimeout(timer);
    controller.abort(SETTLED);
    signal.removeEventListener('abort', abort);
  }
}

/** Waits; rejects with the signal's reason when it fires first. */
export async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await delay(durationMs, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}

/** Settles as `promise` does, or rejects with the signal's reason when it fires first; `promise` goes on unobserved. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
