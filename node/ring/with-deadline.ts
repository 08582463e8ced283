/**
 * Runs work with a signal that fires when the caller is gone or the time is over. Everything it sets up is taken down when
 * the work ends: `AbortSignal.any` would leave a trace at a caller that stays connected, for every call it makes.
 */
export async function withDeadline<T>(
  gone: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const end = (): void => over.abort();
  const timer = setTimeout(end, timeoutMs);
  gone.addEventListener('abort', end, { once: true });
  if (gone.aborted) end();
  try {
    return await work(over.signal);
  } finally {
    clearTimeout(timer);
    gone.removeEventListener('abort', end);
  }
}
