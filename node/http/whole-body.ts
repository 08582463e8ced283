import type { IncomingMessage } from 'node:http';
import { ChordfsError } from '../../domain/errors.ts';

/**
 * The bytes of a request's body. Ends only when the body is complete: a connection that breaks off is an error here,
 * so that nothing can be committed whose end never came.
 *
 * @throws ChordfsError `TRUNCATED_UPLOAD`
 */
export async function* wholeBody(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  let receivedBytes = 0;
  try {
    // Whoever stops reading early still has to answer on this connection, so stopping must not destroy it.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      receivedBytes += piece.byteLength;
      yield piece;
    }
  } catch (error) {
    throw new ChordfsError('TRUNCATED_UPLOAD', { receivedBytes }, { cause: error });
  }
  if (!request.complete) throw new ChordfsError('TRUNCATED_UPLOAD', { receivedBytes });
}
