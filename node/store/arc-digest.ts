import type { ItemHash } from './item-hash.ts';
import type { Arc, Digest } from './store.ts';

/**
 * Digests of arcs without reading the arc.
 *
 * The circle is cut into fixed stretches, each with a running count, size and XOR of its items' hashes. An arc is
 * then a sum over whole stretches plus a look at the items of at most two that it cuts. XOR makes adding and removing
 * the same operation, so a digest never drifts with the order of changes.
 */

/**
 * 2^14 stretches: 300 KB of memory; with a million items one holds about 60, which is what an arc's edge costs.
 * More stretches cost memory on every node, fewer make edges slower.
 */
const STRETCH_BITS = 14;
const STRETCH_SHIFT = 32 - STRETCH_BITS;
const STRETCH_COUNT = 2 ** STRETCH_BITS;
const STRETCH_SIZE = 2 ** STRETCH_SHIFT;
const LAST_POINT = 2 ** 32 - 1;

export interface DigestItem {
  readonly key: number;
  readonly sizeBytes: number;
  readonly hash: ItemHash;
}

interface Sum {
  count: number;
  sizeBytes: number;
  high: number;
  low: number;
}

export class ArcDigest {
  readonly #itemsBetween: (first: number, last: number) => Iterable<DigestItem>;
  readonly #counts = new Uint32Array(STRETCH_COUNT);
  readonly #sizes = new Float64Array(STRETCH_COUNT);
  readonly #highs = new Uint32Array(STRETCH_COUNT);
  readonly #lows = new Uint32Array(STRETCH_COUNT);

  /** @param itemsBetween Yields the stored items with first <= key <= last; used for the edges of an arc. */
  constructor(itemsBetween: (first: number, last: number) => Iterable<DigestItem>) {
    this.#itemsBetween = itemsBetween;
  }

  add(item: DigestItem): void {
    this.#change(item, 1);
  }

  remove(item: DigestItem): void {
    this.#change(item, -1);
  }

  /** Counts again the items near `key`, after one was found damaged and its own hash can no longer be trusted. */
  recount(key: number): void {
    const stretch = key >>> STRETCH_SHIFT;
    this.#counts[stretch] = 0;
    this.#sizes[stretch] = 0;
    this.#highs[stretch] = 0;
    this.#lows[stretch] = 0;
    const first = stretch * STRETCH_SIZE;
    for (const item of this.#itemsBetween(first, first + STRETCH_SIZE - 1)) this.add(item);
  }

  /** Whether the items stored near `key` are still exactly those that were counted. */
  isIntactAt(key: number): boolean {
    const stretch = key >>> STRETCH_SHIFT;
    const first = stretch * STRETCH_SIZE;
    const stored: Sum = { count: 0, sizeBytes: 0, high: 0, low: 0 };
    for (const item of this.#itemsBetween(first, first + STRETCH_SIZE - 1)) addItem(stored, item);
    return (
      stored.count === this.#counts[stretch] &&
      stored.high >>> 0 === this.#highs[stretch] &&
      stored.low >>> 0 === this.#lows[stretch]
    );
  }

  of(arc: Arc): Digest {
    const sum: Sum = { count: 0, sizeBytes: 0, high: 0, low: 0 };
    for (const [first, last] of stretchesOfArc(arc)) this.#addRange(sum, first, last);
    const { count, sizeBytes } = sum;
    return { count, sizeBytes, hash: hex8(sum.high) + hex8(sum.low) };
  }

  #change({ key, sizeBytes, hash }: DigestItem, sign: 1 | -1): void {
    const stretch = key >>> STRETCH_SHIFT;
    this.#counts[stretch] = (this.#counts[stretch] ?? 0) + sign;
    this.#sizes[stretch] = (this.#sizes[stretch] ?? 0) + sign * sizeBytes;
    this.#highs[stretch] = (this.#highs[stretch] ?? 0) ^ hash.high;
    this.#lows[stretch] = (this.#lows[stretch] ?? 0) ^ hash.low;
  }

  #addRange(sum: Sum, first: number, last: number): void {
    const firstStretch = first >>> STRETCH_SHIFT;
    const lastStretch = last >>> STRETCH_SHIFT;
    for (let stretch = firstStretch; stretch <= lastStretch; stretch++) {
      if (this.#counts[stretch] === 0) continue;
      const start = Math.max(first, stretch * STRETCH_SIZE);
      const end = Math.min(last, (stretch + 1) * STRETCH_SIZE - 1);
      if (end - start === STRETCH_SIZE - 1) this.#addStretch(sum, stretch);
      else for (const item of this.#itemsBetween(start, end)) addItem(sum, item);
    }
  }

  #addStretch(sum: Sum, stretch: number): void {
    sum.count += this.#counts[stretch] ?? 0;
    sum.sizeBytes += this.#sizes[stretch] ?? 0;
    sum.high ^= this.#highs[stretch] ?? 0;
    sum.low ^= this.#lows[stretch] ?? 0;
  }
}

function addItem(sum: Sum, { sizeBytes, hash }: DigestItem): void {
  sum.count += 1;
  sum.sizeBytes += sizeBytes;
  sum.high ^= hash.high;
  sum.low ^= hash.low;
}

function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** The closed integer ranges that make up (from, to], in clockwise order; at most two. */
export function stretchesOfArc({ from, to }: Arc): [first: number, last: number][] {
  if (from < to) return [[from + 1, to]];
  const ranges: [number, number][] = [];
  if (from < LAST_POINT) ranges.push([from + 1, LAST_POINT]);
  ranges.push([0, to]);
  return ranges;
}
