import middy from '@middy/core';
import { type ZodType, z } from 'zod';
import { log } from './log.ts';

/** Two seconds to report and let Lambda retry, rather than be killed in the middle of a write. */
const TIMEOUT_EARLY_MS = 2_000;

/** The event is not what this function was written for: retrying cannot help, so it ends in the dead letter queue. */
export class InvalidEventError extends Error {
  override readonly name = 'InvalidEventError';
}

/** Checks an event against its schema; unknown fields pass, wrong ones are named. */
export function parseEvent<Event>(schema: ZodType<Event>, event: unknown): Event {
  const parsed = schema.safeParse(event);
  if (parsed.success) return parsed.data;
  throw new InvalidEventError(`not an event for this function:\n${z.prettifyError(parsed.error)}`);
}

/**
 * Wraps a handler for Lambda. The dependencies are made on the first event, not at import, so that the handler's
 * module can be imported by tests without an environment.
 */
export function lambdaHandler<Event>(schema: ZodType<Event>, compose: () => (event: Event) => Promise<void>) {
  let run: ((event: Event) => Promise<void>) | undefined;
  return middy<unknown, void>({ timeoutEarlyInMillis: TIMEOUT_EARLY_MS })
    .onError(({ error, event }) => {
      // Thrown on afterwards: Lambda retries, then the on-failure destination keeps the event for a person.
      log('error', error?.message ?? 'failed', { error: error?.name, event });
    })
    .handler(async (event) => {
      const parsed = parseEvent(schema, event);
      run ??= compose();
      await run(parsed);
    });
}
