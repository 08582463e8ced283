import type { ServerResponse } from 'node:http';

/**
 * Sends pieces as they come, at the pace of the client, and ends the response. A piece may be overwritten once the
 * next but one is asked for, so that is not done before it has left for the kernel.
 *
 * A stream would do the same with more hands: here each piece goes to the socket as it is, and the next one is
 * fetched while it leaves.
 */
export async function sendPieces(
  response: ServerResponse,
  {
    first,
    pieces,
    signal,
  }: {
    readonly first: Uint8Array;
    readonly pieces: AsyncIterator<Uint8Array>;
    /** Fires when the client is gone; a write to it may then never be answered. */
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const gone = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  gone.catch(() => undefined);
  try {
    let before: Promise<void> = Promise.resolve();
    let next: IteratorResult<Uint8Array> = { value: first };
    while (next.done !== true) {
      const leaving = write(response, next.value);
      leaving.catch(() => undefined);
      await Promise.race([before, gone]);
      before = leaving;
      next = await pieces.next();
    }
    await Promise.race([before, gone]);
    response.end();
  } finally {
    await pieces.return?.();
  }
}

function write(response: ServerResponse, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(piece, (error) => (error == null ? resolve() : reject(error)));
  });
}
