import { createCipheriv, createHash } from 'node:crypto';

/** A file to send round the ring; its content follows from `seed`, so it need not be kept. */
export interface SampleFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly seed: number;
}

/** Names that any layer which quotes, escapes, decodes or sorts might spoil. */
const ODD_PARTS = [
  'with space',
  'double "quote"',
  "apostrophe's",
  'ünïcödé',
  '文件',
  'e\u0301 combining',
  '🦆',
  '100%41',
  'a+b&c=d',
  'hash#mark',
  'question?',
  'semi;colon, comma',
  'back\\slash',
  '<b>bold &amp;',
  '.hidden',
  '-dash',
  '[1] {2} (3)',
  '%2E%2E',
  '~tilde$dollar`tick',
  'trailing.',
];

/** A small generator of numbers in [0, 1) that anybody can repeat from its seed. */
export function numbersFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` files from 1 byte to `largestBytes`, sizes spread evenly over the orders of magnitude; the first are the extremes. */
export function sampleFiles(count: number, largestBytes: number, seed: number): SampleFile[] {
  const next = numbersFrom(seed);
  return Array.from({ length: count }, (_, i) => ({
    name: `${ODD_PARTS[i % ODD_PARTS.length]} ${i}.bin`,
    sizeBytes: i === 0 ? 1 : i === 1 ? largestBytes : Math.round(largestBytes ** next()),
    seed: seed * 1000 + i,
  }));
}

export function contentOf({ sizeBytes, seed }: SampleFile): Buffer {
  const key = createHash('sha256').update(String(seed)).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

export function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
