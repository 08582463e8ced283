import { setTimeout } from 'node:timers/promises';

/** The library settles the reason in the same turn as the rejection, or, after some failures, never. */
const REASON_TIMEOUT_MS = 100;

/**
 * Waits for a commit of lmdb-js. When it fails, the rejection carries a promise of the reason, which must be listened
 * to, or the process ends over an unhandled rejection of it.
 *
 * @throws The reason, or what the library threw where there is none.
 */
export async function awaitCommit(write: PromiseLike<boolean>): Promise<void> {
  try {
    await write;
  } catch (error) {
    throw await reasonOf(error);
  }
}

async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error && error.commitError instanceof Promise))
    return error;
  const stop = new AbortController();
  const reason = error.commitError.then(
    () => error,
    (cause: unknown) => cause,
  );
  const nothing = setTimeout(REASON_TIMEOUT_MS, error, { signal: stop.signal }).catch(() => error);
  const first = await Promise.race([reason, nothing]);
  stop.abort();
  return first;
}
