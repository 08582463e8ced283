import type { ServerResponse } from 'node:http';

/**
 * Sends pieces as they come, at the pace of the client, and ends the response. The next piece is asked for when the one
 * before has left for the kernel, so its memory may be used again by then; the iterator is returned after the last.
 *
 * A stream would do the same with more hands: here each piece goes to the socket as it is.
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
    /** Fires when the client is gone or given up; a write to it may then never be answered. */
    readonly signal: AbortSignal;
  },
): Promise<void> {
  // One listener for all writes: thousands of them would be kept for as long as the download lasts.
  let giveUp: (reason: unknown) => void = () => undefined;
  const abort = () => giveUp(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const write = (piece: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      giveUp = reject;
      if (signal.aborted) reject(signal.reason);
      else response.write(piece, (error) => (error == null ? resolve() : reject(error)));
    });
  try {
    for (let next: IteratorResult<Uint8Array> = { value: first }; next.done !== true; ) {
      await write(next.value);
      next = await pieces.next();
    }
    response.end();
  } finally {
    signal.removeEventListener('abort', abort);
    await pieces.return?.();
  }
}
