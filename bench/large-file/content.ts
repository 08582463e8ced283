import { createHash, randomFillSync } from 'node:crypto';
import { Readable } from 'node:stream';

/** A prime, so that pieces and chunks never end together and every chunk differs from every other. */
const BLOCK_BYTES = 1_048_573;
const PIECE_BYTES = 256 * 1024;

/**
 * A file too large to keep: one random block over and over, each time with its number in front. Any byte of it can be
 * had without the others, so that what comes back can be checked while it streams.
 */
export class LargeContent {
  readonly sizeBytes: number;
  readonly #block = randomFillSync(Buffer.alloc(BLOCK_BYTES));

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  /** Bytes [start, end). */
  slice(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafe(end - start);
    for (let at = start; at < end; ) {
      const number = Math.floor(at / BLOCK_BYTES);
      const from = at - number * BLOCK_BYTES;
      this.#block.writeUInt32BE(number);
      at += this.#block.copy(bytes, at - start, from, Math.min(BLOCK_BYTES, from + end - at));
    }
    return bytes;
  }

  stream(): Readable {
    return Readable.from(this.#pieces(), { objectMode: false });
  }

  *#pieces(): Generator<Buffer> {
    for (let at = 0; at < this.sizeBytes; at += PIECE_BYTES)
      yield this.slice(at, Math.min(at + PIECE_BYTES, this.sizeBytes));
  }

  sha256(): string {
    const hash = createHash('sha256');
    for (const piece of this.#pieces()) hash.update(piece);
    return hash.digest('hex');
  }
}
