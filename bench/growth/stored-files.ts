import type { Identifier } from '../../domain/identifier.ts';

export interface Arc {
  readonly from: Identifier;
  readonly to: Identifier;
}

/**
 * Primary bytes on the circle, added one chunk at a time, asked for by arc. Answers as a node's store does, so that the
 * product's own measurement runs on it.
 */
export class StoredFiles {
  #keys: number[] = [];
  #sums: number[] = [0];
  #fresh: { readonly key: Identifier; readonly bytes: number }[] = [];
  #totalBytes = 0;

  get totalBytes(): number {
    return this.#totalBytes;
  }

  add(key: Identifier, bytes: number): void {
    this.#fresh.push({ key, bytes });
    this.#totalBytes += bytes;
  }

  /** Bytes and chunks with keys in (from, to]; the whole circle when both are equal. */
  inArc({ from, to }: Arc): { readonly sizeBytes: number; readonly count: number } {
    this.#sort();
    const low = this.#upTo(from);
    const high = this.#upTo(to);
    const wraps = to <= from;
    const count = high - low + (wraps ? this.#keys.length : 0);
    const bytes = this.#sum(high) - this.#sum(low) + (wraps ? this.#totalBytes : 0);
    return { sizeBytes: bytes, count };
  }

  #sum(index: number): number {
    return this.#sums[index] ?? 0;
  }

  /** How many keys are at or below the point. */
  #upTo(point: number): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] ?? 0) <= point) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #sort(): void {
    if (this.#fresh.length === 0) return;
    const old = this.#keys.map((key, index) => ({ key, bytes: this.#sum(index + 1) - this.#sum(index) }));
    const all = [...old, ...this.#fresh].sort((a, b) => a.key - b.key);
    this.#fresh = [];
    this.#keys = all.map(({ key }) => key);
    this.#sums = [0];
    for (const [index, { bytes }] of all.entries()) this.#sums.push(this.#sum(index) + bytes);
  }
}
