import type { ConnectionLimits } from './connection-limits.ts';

/**
 * Finds where one MessagePack value ends and the next begins, without building any of them.
 *
 * The stream has no framing of its own, and a decoder run on half a message either starts over with every piece
 * (quadratic) or allocates what a length prefix promises (4 GiB). So the structure is walked first, a byte at a
 * time and resumable, against the limits; only a whole message of acceptable size and depth reaches the decoder.
 */

/** The bytes are not MessagePack, or promise more than the limits allow. The connection cannot be resynchronised. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

const NEVER_USED = 0xc1;
/** Payload bytes after each one-byte header from 0xc0 that has no length prefix of its own; -1: it has one. */
const PAYLOAD_FROM_C0: readonly number[] = [
  // nil, never used, false, true
  0, 0, 0, 0,
  // bin 8-32, ext 8-32
  -1, -1, -1, -1, -1, -1,
  // float 32, 64; uint 8-64; int 8-64
  4, 8, 1, 2, 4, 8, 1, 2, 4, 8,
  // fixext 1, 2, 4, 8, 16: one byte of type, then the data
  2, 3, 5, 9, 17,
  // str 8-32, array 16-32, map 16-32
  -1, -1, -1, -1, -1, -1, -1,
];
/** Headers with a length prefix: how wide the prefix is, and what it counts. */
const PREFIXED: Readonly<Record<number, { width: 1 | 2 | 4; counts: 'bytes' | 'ext' | 'array' | 'map' }>> = {
  196: { width: 1, counts: 'bytes' },
  197: { width: 2, counts: 'bytes' },
  198: { width: 4, counts: 'bytes' },
  199: { width: 1, counts: 'ext' },
  200: { width: 2, counts: 'ext' },
  201: { width: 4, counts: 'ext' },
  217: { width: 1, counts: 'bytes' },
  218: { width: 2, counts: 'bytes' },
  219: { width: 4, counts: 'bytes' },
  220: { width: 2, counts: 'array' },
  221: { width: 4, counts: 'array' },
  222: { width: 2, counts: 'map' },
  223: { width: 4, counts: 'map' },
};
const EMPTY = Buffer.alloc(0);

type FramingLimits = Pick<ConnectionLimits, 'maxMessageBytes' | 'maxDepth'>;

export class MessageFramer {
  limits: FramingLimits;
  #bytes: Buffer = EMPTY;
  /** [start, end) of `#bytes` is unread; [start, scan) of it has been walked. */
  #start = 0;
  #scan = 0;
  #end = 0;
  /** Payload bytes still to pass over. */
  #skip = 0;
  /** Values still owed by each open container, outermost first. */
  readonly #owed: number[] = [];

  constructor(limits: FramingLimits) {
    this.limits = limits;
  }

  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /** Takes the next bytes of the stream. Keeps a reference to `chunk` until `next` has returned undefined. */
  push(chunk: Buffer): void {
    const held = this.bufferedBytes;
    if (held === 0) {
      this.#bytes = chunk;
      this.#scan -= this.#start;
      this.#start = 0;
      this.#end = chunk.length;
      return;
    }
    this.#reserve(held + chunk.length);
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /**
   * The next whole message; undefined until more bytes come. The bytes are a view and are never overwritten.
   * @throws FramingError after which the framer must not be used.
   */
  next(): Buffer | undefined {
    while (this.#scan < this.#end) {
      const done = this.#skip > 0 ? this.#skipPayload() : this.#readHeader();
      if (done === 'starved') break;
      if (done === 'message') {
        const message = this.#bytes.subarray(this.#start, this.#scan);
        this.#start = this.#scan;
        return message;
      }
    }
    this.#compact();
    return undefined;
  }

  #skipPayload(): 'more' | 'message' {
    const taken = Math.min(this.#skip, this.#end - this.#scan);
    this.#scan += taken;
    this.#skip -= taken;
    return this.#skip === 0 ? this.#closeValue() : 'more';
  }

  #readHeader(): 'starved' | 'more' | 'message' {
    const header = this.#bytes[this.#scan] ?? NEVER_USED;
    if (header === NEVER_USED) throw new FramingError('not MessagePack');
    const prefixed = PREFIXED[header];
    if (prefixed === undefined) {
      this.#scan += 1;
      if (header >= 0x80 && header <= 0x8f) return this.#open(2 * (header & 0x0f));
      if (header >= 0x90 && header <= 0x9f) return this.#open(header & 0x0f);
      if (header >= 0xa0 && header <= 0xbf) return this.#expect(header & 0x1f);
      return this.#expect(header >= 0xc0 && header < 0xe0 ? (PAYLOAD_FROM_C0[header - 0xc0] ?? 0) : 0);
    }
    const { width, counts } = prefixed;
    if (this.#end - this.#scan < 1 + width) return 'starved';
    const length = this.#bytes.readUIntBE(this.#scan + 1, width);
    this.#scan += 1 + width;
    if (counts === 'array') return this.#open(length);
    if (counts === 'map') return this.#open(2 * length);
    return this.#expect(counts === 'ext' ? length + 1 : length);
  }

  #expect(payloadBytes: number): 'more' | 'message' {
    this.#skip = payloadBytes;
    this.#checkSize(payloadBytes);
    return payloadBytes === 0 ? this.#closeValue() : 'more';
  }

  #open(valueCount: number): 'more' | 'message' {
    // Each value takes at least one byte, so a count beyond the size limit can never be honoured.
    this.#checkSize(valueCount);
    if (this.#owed.length >= this.limits.maxDepth) throw new FramingError('nested too deeply');
    if (valueCount === 0) return this.#closeValue();
    this.#owed.push(valueCount);
    return 'more';
  }

  #checkSize(bytesToCome: number): void {
    if (this.#scan - this.#start + bytesToCome > this.limits.maxMessageBytes) {
      throw new FramingError('message too long');
    }
  }

  /** One value is complete; so is every container of which it was the last. */
  #closeValue(): 'more' | 'message' {
    while (this.#owed.length > 0) {
      const owed = (this.#owed.pop() ?? 1) - 1;
      if (owed > 0) {
        this.#owed.push(owed);
        return 'more';
      }
    }
    return 'message';
  }

  #reserve(neededBytes: number): void {
    if (this.#bytes.length - this.#start >= neededBytes) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(neededBytes, 2 * this.bufferedBytes));
    this.#bytes.copy(grown, 0, this.#start, this.#end);
    this.#rebase(grown);
  }

  /** Lets go of the chunk that the last messages came in: a connection at rest holds only its partial message. */
  #compact(): void {
    const held = this.bufferedBytes;
    if (held === 0) this.#rebase(EMPTY);
    else if (this.#start > 0) {
      // Not from the shared pool, whose slabs would stay alive for a few bytes.
      const own = Buffer.allocUnsafeSlow(held);
      this.#bytes.copy(own, 0, this.#start, this.#end);
      this.#rebase(own);
    }
  }

  #rebase(bytes: Buffer): void {
    this.#end -= this.#start;
    this.#scan -= this.#start;
    this.#start = 0;
    this.#bytes = bytes;
  }
}
