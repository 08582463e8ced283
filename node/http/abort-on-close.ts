import type { Context } from 'koa';
import { ChordfsError } from '../../domain/errors.ts';

/** Fires when the client goes away before its answer is complete: nobody waits for the work any more. */
export function abortOnClose(ctx: Context): AbortSignal {
  const controller = new AbortController();
  const { res } = ctx;
  res.once('close', () => {
    if (!res.writableFinished)
      controller.abort(new ChordfsError('DEADLINE_EXCEEDED', { reason: 'client left' }));
  });
  return controller.signal;
}
