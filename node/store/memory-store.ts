import { hash } from 'node:crypto';
import { ChordfsError } from '../../domain/errors.ts';
import { compareVersions, type FileRecord, type Version } from '../../domain/file-record.ts';
import { ArcDigest } from './arc-digest.ts';
import { hashChunkInfo, hashRecord } from './item-hash.ts';
import type { Arc, ChunkId, ChunkInfo, Digest, Store } from './store.ts';
import { checkChunkSize, checkRecord, chunkKey, positionKey, recordKey, scanRanges } from './store-keys.ts';

export interface MemoryStoreOptions {
  readonly capacityBytes: number;
  /** Ms since the epoch; a simulation passes its own clock. */
  readonly now: () => number;
}

/** Byte strings in order: latin1 text compares as its bytes do. */
class SortedTable<T> {
  readonly #values = new Map<string, T>();
  #keys: string[] | undefined;

  get(key: Buffer): T | undefined {
    return this.#values.get(key.toString('latin1'));
  }

  set(key: Buffer, value: T): void {
    const text = key.toString('latin1');
    if (!this.#values.has(text)) this.#keys = undefined;
    this.#values.set(text, value);
  }

  delete(key: Buffer): void {
    if (this.#values.delete(key.toString('latin1'))) this.#keys = undefined;
  }

  /** Values with start <= key < end, ascending. */
  *between(start: Buffer, end: Buffer): Generator<T> {
    this.#keys ??= [...this.#values.keys()].sort();
    const keys = this.#keys;
    const last = end.toString('latin1');
    for (let i = firstAtOrAfter(keys, start.toString('latin1')); i < keys.length; i++) {
      const key = keys[i];
      if (key === undefined || key >= last) return;
      const value = this.#values.get(key);
      if (value !== undefined) yield value;
    }
  }
}

function firstAtOrAfter(keys: readonly string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface StoredChunk {
  readonly info: ChunkInfo;
  readonly bytes: Uint8Array;
}

/**
 * The store without a disk, for simulations: same contract, and nothing waits. What a power cut would lose is
 * decided by whoever simulates it, by dropping the whole object.
 */
export class MemoryStore implements Store {
  readonly #options: MemoryStoreOptions;
  readonly #records = new SortedTable<FileRecord>();
  readonly #chunks = new SortedTable<StoredChunk>();
  readonly #settings = new Map<string, string>();
  readonly #exposed = new Set<string>();
  readonly #listeners: ((chunk: ChunkInfo) => void)[] = [];
  readonly #recordDigest = new ArcDigest((first, last) => this.#recordItems(first, last));
  readonly #chunkDigest = new ArcDigest((first, last) => this.#chunkItems(first, last));
  #usedBytes = 0;
  #fileCount = 0;

  constructor(options: Partial<MemoryStoreOptions> = {}) {
    this.#options = { capacityBytes: Number.MAX_SAFE_INTEGER, now: Date.now, ...options };
  }

  usage() {
    return {
      usedBytes: this.#usedBytes,
      capacityBytes: this.#options.capacityBytes,
      fileCount: this.#fileCount,
    };
  }

  getRecord(name: string): FileRecord | undefined {
    return this.#records.get(recordKey(name));
  }

  async putRecord(record: FileRecord): Promise<FileRecord> {
    checkRecord(record);
    const key = recordKey(record.name);
    const before = this.#records.get(key);
    if (before !== undefined && compareVersions(before.version, record.version) >= 0) return before;
    if (before !== undefined) this.#count(before, 'remove');
    this.#records.set(key, structuredClone(record));
    this.#count(record, 'add');
    return record;
  }

  /** Records take no room here. */
  async checkRoomForRecord(): Promise<void> {}

  async removeRecord(name: string, version: Version): Promise<boolean> {
    const key = recordKey(name);
    const before = this.#records.get(key);
    if (before === undefined || compareVersions(before.version, version) !== 0) return false;
    this.#records.delete(key);
    this.#count(before, 'remove');
    return true;
  }

  scanRecords(
    arc: Arc,
    { after, limit }: { readonly after?: FileRecord | undefined; readonly limit: number },
  ) {
    return scan(this.#records, arc, {
      after: after === undefined ? undefined : recordKey(after.name),
      limit,
    });
  }

  digestRecords(arc: Arc): Digest {
    return this.#recordDigest.of(arc);
  }

  getChunk(id: ChunkId): ChunkInfo | undefined {
    return this.#chunks.get(chunkKey(id))?.info;
  }

  async putChunk(
    info: Omit<ChunkInfo, 'storedMs' | 'verifiedMs'>,
    bytes: Uint8Array,
    { isChecked = false }: { readonly isChecked?: boolean | undefined } = {},
  ): Promise<void> {
    const key = chunkKey(info);
    checkChunkSize(info.sizeBytes, bytes);
    if (!isChecked && hash('sha256', bytes) !== info.sha256)
      throw new ChordfsError('CORRUPT', { sizeBytes: bytes.byteLength });
    const before = this.#chunks.get(key);
    if (before?.info.sha256 === info.sha256) return;
    if (this.#usedBytes + bytes.byteLength > this.#options.capacityBytes) {
      throw new ChordfsError('VOLUME_FULL', { usedBytes: this.#usedBytes });
    }
    if (before !== undefined) await this.removeChunk(info);
    const now = this.#options.now();
    const { name, uploadId, index, sha256, sizeBytes } = info;
    const stored = {
      key: info.key,
      name,
      uploadId,
      index,
      sha256,
      sizeBytes,
      storedMs: now,
      verifiedMs: now,
    };
    this.#chunks.set(key, { info: stored, bytes: Uint8Array.from(bytes) });
    this.#usedBytes += sizeBytes;
    this.#chunkDigest.add({ key: info.key, sizeBytes, hash: hashChunkInfo(info) });
  }

  async readChunk(id: ChunkId): Promise<Uint8Array | undefined> {
    const stored = this.#chunks.get(chunkKey(id));
    if (stored === undefined) return undefined;
    if (hash('sha256', stored.bytes) === stored.info.sha256) return Uint8Array.from(stored.bytes);
    await this.removeChunk(id);
    for (const listener of this.#listeners) listener(stored.info);
    return undefined;
  }

  async removeChunk(id: ChunkId): Promise<void> {
    const key = chunkKey(id);
    const stored = this.#chunks.get(key);
    if (stored === undefined) return;
    this.#chunks.delete(key);
    const { sizeBytes } = stored.info;
    this.#usedBytes -= sizeBytes;
    this.#chunkDigest.remove({ key: id.key, sizeBytes, hash: hashChunkInfo(stored.info) });
  }

  scanChunks(arc: Arc, { after, limit }: { readonly after?: ChunkId | undefined; readonly limit: number }) {
    const exclusive = after === undefined ? undefined : chunkKey(after);
    return scan(this.#chunks, arc, { after: exclusive, limit }).map(({ info }) => info);
  }

  digestChunks(arc: Arc): Digest {
    return this.#chunkDigest.of(arc);
  }

  async exposeFile(record: FileRecord): Promise<void> {
    this.#exposed.add(record.name);
  }

  async hideFile(name: string): Promise<void> {
    this.#exposed.delete(name);
  }

  onCorrupt(listener: (chunk: ChunkInfo) => void): void {
    this.#listeners.push(listener);
  }

  /** Records here are objects: nothing can damage them. */
  onCorruptRecord(_listener: (name: string) => void): void {}

  getSetting(key: string): string | undefined {
    return this.#settings.get(key);
  }

  async putSetting(key: string, value: string): Promise<void> {
    this.#settings.set(key, value);
  }

  async close(): Promise<void> {}

  /** Bit rot: flips one bit of a stored chunk, as a test or a simulation's nemesis asks. */
  damageChunk(id: ChunkId): void {
    const bytes = this.#chunks.get(chunkKey(id))?.bytes;
    if (bytes !== undefined && bytes.byteLength > 0) bytes[0] = (bytes[0] ?? 0) ^ 1;
  }

  #count(record: FileRecord, change: 'add' | 'remove'): void {
    const { sizeBytes, deleted, name } = record;
    this.#recordDigest[change]({
      key: recordKey(name).readUInt32BE(0),
      sizeBytes,
      hash: hashRecord(record),
    });
    if (!deleted) this.#fileCount += change === 'add' ? 1 : -1;
  }

  *#recordItems(first: number, last: number) {
    for (const record of this.#records.between(positionKey(first), positionKey(last + 1))) {
      const key = recordKey(record.name).readUInt32BE(0);
      yield { key, sizeBytes: record.sizeBytes, hash: hashRecord(record) };
    }
  }

  *#chunkItems(first: number, last: number) {
    for (const { info } of this.#chunks.between(positionKey(first), positionKey(last + 1))) {
      yield { key: info.key, sizeBytes: info.sizeBytes, hash: hashChunkInfo(info) };
    }
  }
}

function scan<T>(
  table: SortedTable<T>,
  arc: Arc,
  { after, limit }: { readonly after: Buffer | undefined; readonly limit: number },
): T[] {
  const found: T[] = [];
  for (const { start, end } of scanRanges(arc, after)) {
    for (const value of table.between(start, end)) {
      if (found.length >= limit) return found;
      found.push(value);
    }
  }
  return found;
}
