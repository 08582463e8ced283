import { ChordfsError } from '../../domain/errors.ts';
import { ArcDigest, type DigestItem } from './arc-digest.ts';
import { type SealedEntry, seal, unseal, unsealSummary } from './sealed-entry.ts';
import type { Arc, Digest } from './store.ts';
import type { IndexTable } from './store-index.ts';
import { keyAfter, positionKey, positionOf, scanRanges } from './store-keys.ts';

type Summary = Omit<SealedEntry, 'json'>;

export interface CountedTableOptions {
  /** Told of every entry that comes (1) or goes (-1), once it is durable. */
  readonly onCount: (summary: Summary, sign: 1 | -1) => void;
  /** Told once of every key whose value turned out damaged. */
  readonly onDamage: (key: Buffer) => void;
  /** Told when entries that were there cannot be found any more: pages of the index itself are damaged. */
  readonly onLoss: (error: ChordfsError) => void;
}

const FIRST_KEY = positionKey(0);
const END_KEY = positionKey(2 ** 32);

/**
 * A table of sealed entries with a running digest over arcs.
 *
 * A damaged value stays where it is, so that after a restart too this replica knows that it has lost something; it
 * counts in no digest and appears in no scan, which is what makes movement fetch it again.
 */
export class CountedTable {
  readonly #table: IndexTable;
  readonly #options: CountedTableOptions;
  readonly #digest = new ArcDigest((first, last) => this.#itemsBetween(first, last));
  readonly #damaged = new Set<string>();
  /** What the digest still counts for keys whose change may already be visible in the table. */
  readonly #changing = new Map<string, { readonly key: Uint8Array; readonly counted: Summary | undefined }>();

  constructor(table: IndexTable, options: CountedTableOptions) {
    this.#table = table;
    this.#options = options;
  }

  /**
   * Reads everything once: digests, counts, and what is damaged. A few microseconds per entry.
   * @throws ChordfsError `CORRUPT` when entries are missing.
   */
  load(): void {
    let found = 0;
    for (const { key, value } of this.#table.between(FIRST_KEY, END_KEY)) {
      found += 1;
      const summary = unsealSummary(key, value);
      if (summary === undefined) this.#markDamaged(key);
      else this.#count(key, summary, 1);
    }
    if (found !== this.#table.entryCount()) throw new ChordfsError('CORRUPT', { part: 'index' });
  }

  get(key: Buffer): SealedEntry | 'damaged' | undefined {
    const value = this.#getProved(key);
    if (value === undefined) return undefined;
    const entry = unseal(key, value);
    if (entry !== undefined) return entry;
    this.#discoverDamage(key);
    return 'damaged';
  }

  /** Durable when it resolves. Two changes of one key must not overlap: the caller queues them. */
  put(key: Buffer, entry: SealedEntry): Promise<void> {
    return this.#change(key, entry, () => this.#table.put(key, seal(key, entry)));
  }

  remove(key: Buffer): Promise<void> {
    return this.#change(key, undefined, () => this.#table.remove(key));
  }

  /** JSON of the entries in an arc, in ring order, at most `limit`. */
  scan(arc: Arc, { after, limit }: { readonly after: Buffer | undefined; readonly limit: number }): string[] {
    const found: string[] = [];
    const damaged: Uint8Array[] = [];
    for (const { start, end } of scanRanges(arc, after)) {
      if (found.length >= limit) break;
      for (const { key, value } of this.#table.between(start, end)) {
        const entry = unseal(key, value);
        if (entry === undefined) damaged.push(key);
        else found.push(entry.json);
        if (found.length >= limit) break;
      }
    }
    for (const key of damaged) this.#discoverDamage(key);
    return found;
  }

  digest(arc: Arc): Digest {
    return this.#digest.of(arc);
  }

  /**
   * Verifies up to `limit` entries from a key on.
   * @returns JSON of the sound ones, and the key to go on from; undefined after the last.
   */
  verify(
    from: Uint8Array | undefined,
    limit: number,
  ): { readonly sound: readonly string[]; readonly next: Buffer | undefined } {
    const sound: string[] = [];
    const damaged: Uint8Array[] = [];
    let last: Uint8Array | undefined;
    for (const { key, value } of this.#table.between(from ?? FIRST_KEY, END_KEY)) {
      const entry = unseal(key, value);
      if (entry === undefined) damaged.push(key);
      else sound.push(entry.json);
      if (sound.length + damaged.length < limit) continue;
      last = key;
      break;
    }
    for (const key of damaged) this.#discoverDamage(key);
    return { sound, next: last === undefined ? undefined : keyAfter(last) };
  }

  /**
   * A damaged page of the index can lose entries without a word, and "there is no such file" is an answer that a
   * client acts on. So before it is given, what is stored around the key must still be what the digest counted.
   */
  #getProved(key: Buffer): Buffer | undefined {
    const value = this.#table.get(key);
    if (value !== undefined || this.#digest.isIntactAt(positionOf(key))) return value;
    // The reader may have been looking at the moment before a commit that is counted already.
    this.#table.refresh();
    const newer = this.#table.get(key);
    if (newer !== undefined || this.#digest.isIntactAt(positionOf(key))) return newer;
    const error = new ChordfsError('CORRUPT', { part: 'index' });
    this.#options.onLoss(error);
    throw error;
  }

  async #change(key: Buffer, entry: SealedEntry | undefined, write: () => Promise<void>): Promise<void> {
    const text = key.toString('latin1');
    const value = this.#table.get(key);
    const before = value === undefined ? undefined : unsealSummary(key, value);
    this.#changing.set(text, { key, counted: before });
    try {
      await write();
      if (before !== undefined) this.#count(key, before, -1);
      if (entry !== undefined) this.#count(key, entry, 1);
      this.#damaged.delete(text);
    } finally {
      this.#changing.delete(text);
    }
  }

  #count(key: Uint8Array, summary: Summary, sign: 1 | -1): void {
    const item = { key: positionOf(key), ...summary };
    if (sign === 1) this.#digest.add(item);
    else this.#digest.remove(item);
    this.#options.onCount(summary, sign);
  }

  #discoverDamage(key: Uint8Array): void {
    if (this.#damaged.has(Buffer.from(key).toString('latin1'))) return;
    this.#digest.recount(positionOf(key));
    this.#markDamaged(key);
  }

  #markDamaged(key: Uint8Array): void {
    const copy = Buffer.from(key);
    this.#damaged.add(copy.toString('latin1'));
    this.#options.onDamage(copy);
  }

  /** The stored entries as the digest counts them: a change that is not counted yet does not show. */
  *#itemsBetween(first: number, last: number): Generator<DigestItem> {
    const seen = new Set<string>();
    for (const { key, value } of this.#table.between(positionKey(first), positionKey(last + 1))) {
      const text = this.#changing.size === 0 ? '' : Buffer.from(key).toString('latin1');
      const change = this.#changing.get(text);
      if (change !== undefined) seen.add(text);
      const summary = change === undefined ? unsealSummary(key, value) : change.counted;
      if (summary !== undefined) yield { key: positionOf(key), ...summary };
    }
    for (const [text, { key, counted }] of this.#changing) {
      const position = positionOf(key);
      if (counted === undefined || seen.has(text) || position < first || position > last) continue;
      yield { key: position, ...counted };
    }
  }
}
