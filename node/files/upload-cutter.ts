import { createHash, hash } from 'node:crypto';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import { contentAddress } from '../store/content-address.ts';

export interface CutChunk {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** Still being computed while more arrives. */
  readonly sha256: Promise<string>;
  /** The content's only chunk: it is placed with the record. */
  readonly isOnly: boolean;
}

export interface CutSummary {
  readonly sizeBytes: number;
  /** Of the whole content, lower-case hex. */
  readonly sha256: string;
}

export interface CutterOptions {
  /**
   * Whether so many further bytes of small content may be held. As long as they may, content is given as one piece at
   * the end, and never asks for a buffer.
   */
  readonly tryHold: (sizeBytes: number) => boolean;
  /** None of them is held any more: the content goes into buffers. */
  readonly letGo: () => void;
  /** A buffer of CHUNK_SIZE_BYTES, waited for when memory is short. Whoever gets the chunk gives it back. */
  readonly takeBuffer: () => Promise<Uint8Array>;
  readonly onChunk: (chunk: CutChunk) => Promise<void>;
}

/**
 * Cuts a stream into chunks as it arrives and hashes it. Small content is returned instead of handed to `onChunk`,
 * for it may travel together with its record.
 */
export async function cutUpload(
  body: AsyncIterable<Uint8Array>,
  options: CutterOptions,
): Promise<CutSummary & { readonly inline?: Uint8Array }> {
  const small: Uint8Array[] = [];
  const whole = createHash('sha256');
  let sizeBytes = 0;
  let index = 0;
  let buffer: Uint8Array | undefined;
  let filled = 0;
  let total = '';
  let isHeld = true;

  const emit = async (isLast: boolean) => {
    if (buffer === undefined) return;
    const bytes = buffer.subarray(0, filled);
    buffer = undefined;
    filled = 0;
    const isOnly = isLast && index === 0;
    if (isLast) total = whole.digest('hex');
    await options.onChunk({
      index: index++,
      bytes,
      sha256: isOnly ? Promise.resolve(total) : contentAddress(bytes),
      isOnly,
    });
  };
  const append = async (piece: Uint8Array) => {
    for (let offset = 0; offset < piece.byteLength; ) {
      // A full chunk waits for the next byte: only then is it known whether it is the only one.
      if (filled === CHUNK_SIZE_BYTES) await emit(false);
      buffer ??= await options.takeBuffer();
      const taken = Math.min(piece.byteLength - offset, CHUNK_SIZE_BYTES - filled);
      const part = piece.subarray(offset, offset + taken);
      buffer.set(part, filled);
      // Now, while the processor still has them at hand, rather than the whole chunk at once.
      whole.update(part);
      filled += taken;
      offset += taken;
    }
  };

  for await (const piece of body) {
    sizeBytes += piece.byteLength;
    isHeld = isHeld && options.tryHold(piece.byteLength);
    if (isHeld) {
      small.push(piece);
      continue;
    }
    for (const earlier of small.splice(0)) await append(earlier);
    options.letGo();
    await append(piece);
  }
  if (isHeld) {
    // A copy, for a piece may be a view into what a socket was read into.
    const inline = Buffer.concat(small);
    return { sizeBytes, sha256: hash('sha256', inline), inline };
  }
  await emit(true);
  return { sizeBytes, sha256: total };
}
