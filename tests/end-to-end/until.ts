import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks. Short enough not to lengthen a test, long enough not to load the machine it watches. */
const LOOK_EVERY_MS = 50;

/**
 * Resolves to the first value of `look` that is neither undefined nor false. A look that throws counts as not yet.
 * @throws Error naming `what` and the last trouble once `deadlineMs` have passed.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 30_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  let trouble: unknown;
  while (performance.now() < endMs) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      trouble = undefined;
    } catch (error) {
      trouble = error;
    }
    await sleep(LOOK_EVERY_MS);
  }
  const last = trouble instanceof Error ? ` (${trouble.message})` : '';
  throw new Error(`not within ${deadlineMs / 1000} s: ${what}${last}`, { cause: trouble });
}
