import { hash } from 'node:crypto';
import { ChordfsError } from '../../domain/errors.ts';
import type { PeerMessage } from './peers.ts';

/**
 * A message between members as bytes: the length of the head (32 bits, big-endian), the head as JSON, then the
 * payload up to the end. The head is kept apart so that it can be signed without hashing megabytes twice.
 */

const LENGTH_BYTES = 4;
/** The record of a file of 500 GB. */
const MAX_HEAD_BYTES = 16 * 1024 * 1024;
const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;
export const MAX_FRAME_BYTES = LENGTH_BYTES + MAX_HEAD_BYTES + MAX_PAYLOAD_BYTES;
/** Below it head and payload leave in one piece: one packet instead of two. */
const JOIN_BELOW_BYTES = 64 * 1024;

export interface Frame {
  /** Pieces to write one after the other. */
  readonly pieces: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** Lower-case hex SHA-256 of the head. */
  readonly headSha256: string;
}

export function encodeFrame(
  { head, payload }: PeerMessage,
  { isSigned }: { readonly isSigned: boolean },
): Frame {
  const text = Buffer.from(JSON.stringify(head));
  const payloadBytes = payload?.byteLength ?? 0;
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(text.byteLength);
  const all = payload === undefined ? [length, text] : [length, text, payload];
  const sizeBytes = LENGTH_BYTES + text.byteLength + payloadBytes;
  const pieces =
    sizeBytes < JOIN_BELOW_BYTES
      ? [Buffer.concat(all, sizeBytes)]
      : [Buffer.concat([length, text]), ...(payload === undefined ? [] : [payload])];
  return { pieces, sizeBytes, headSha256: isSigned ? hash('sha256', text) : '' };
}

/**
 * The payload is a view into `frame`.
 * @throws ChordfsError `INVALID_REQUEST` for bytes that are no frame, `UNAUTHORIZED` when the head is not the signed one.
 */
export function decodeFrame(frame: Buffer, expected?: { readonly headSha256: string }): PeerMessage {
  const headBytes = frame.byteLength >= LENGTH_BYTES ? frame.readUInt32BE() : Number.POSITIVE_INFINITY;
  if (headBytes > frame.byteLength - LENGTH_BYTES)
    throw new ChordfsError('INVALID_REQUEST', { reason: 'frame' });
  const text = frame.subarray(LENGTH_BYTES, LENGTH_BYTES + headBytes);
  if (expected !== undefined && hash('sha256', text) !== expected.headSha256)
    throw new ChordfsError('UNAUTHORIZED');
  const payload = frame.subarray(LENGTH_BYTES + headBytes);
  try {
    const head: unknown = JSON.parse(text.toString());
    return { head, payload: payload.byteLength === 0 ? undefined : payload };
  } catch (cause) {
    throw new ChordfsError('INVALID_REQUEST', { reason: 'head' }, { cause });
  }
}

/** How an error travels: its code and details, nothing of the stack. */
export function errorHead(error: ChordfsError): unknown {
  return { error: error.code, details: error.details };
}
