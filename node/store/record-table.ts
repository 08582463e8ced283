import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord, type Version } from '../../domain/file-record.ts';
import { CountedTable } from './counted-table.ts';
import { hashRecord } from './item-hash.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { Arc, Digest } from './store.ts';
import type { IndexTable } from './store-index.ts';
import { checkRecord, positionOf, recordKey, recordNameOf } from './store-keys.ts';

/** File records in the index: the newest version of each name that this replica has heard of. */
export class RecordTable {
  readonly #table: CountedTable;
  readonly #queue = new KeyedQueue();
  readonly #damaged = new Set<string>();
  readonly #listeners: ((name: string) => void)[] = [];
  #fileCount = 0;

  /** @param onLoss See `CountedTableOptions`. */
  constructor(table: IndexTable, onLoss: (error: ChordfsError) => void) {
    this.#table = new CountedTable(table, {
      onCount: ({ isLive }, sign) => {
        if (isLive) this.#fileCount += sign;
      },
      onDamage: (key) => this.#reportDamage(key),
      onLoss,
    });
  }

  /** Live records: files, not tombstones. */
  get fileCount(): number {
    return this.#fileCount;
  }

  load(): void {
    this.#table.load();
  }

  /** Also told at once of what is known to be damaged. */
  onCorrupt(listener: (name: string) => void): void {
    this.#listeners.push(listener);
    for (const name of this.#damaged) listener(name);
  }

  /** @throws ChordfsError `CORRUPT` */
  get(name: string): FileRecord | undefined {
    const entry = this.#table.get(recordKey(name));
    if (entry === undefined) return undefined;
    if (entry === 'damaged') throw new ChordfsError('CORRUPT', { part: 'record' });
    return parseRecord(entry.json);
  }

  put(record: FileRecord): Promise<FileRecord> {
    checkRecord(record);
    const key = recordKey(record.name);
    return this.#queue.run(record.name, async () => {
      const before = this.#getSound(key);
      if (before !== undefined && compareVersions(before.version, record.version) >= 0) return before;
      await this.#table.put(key, {
        hash: hashRecord(record),
        sizeBytes: record.sizeBytes,
        isLive: !record.deleted,
        json: JSON.stringify(record),
      });
      this.#damaged.delete(record.name);
      return record;
    });
  }

  remove(name: string, version: Version): Promise<boolean> {
    const key = recordKey(name);
    return this.#queue.run(name, async () => {
      const before = this.#getSound(key);
      if (before === undefined || compareVersions(before.version, version) !== 0) return false;
      await this.#table.remove(key);
      return true;
    });
  }

  scan(
    arc: Arc,
    { after, limit }: { readonly after?: FileRecord | undefined; readonly limit: number },
  ): FileRecord[] {
    const afterKey = after === undefined ? undefined : recordKey(after.name);
    return this.#table.scan(arc, { after: afterKey, limit }).map(parseRecord);
  }

  digest(arc: Arc): Digest {
    return this.#table.digest(arc);
  }

  /** Verifies up to `limit` records; the key to go on from, or undefined after the last. */
  verify(from: Uint8Array | undefined, limit: number): Uint8Array | undefined {
    return this.#table.verify(from, limit).next;
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  #getSound(key: Buffer): FileRecord | undefined {
    const entry = this.#table.get(key);
    return entry === undefined || entry === 'damaged' ? undefined : parseRecord(entry.json);
  }

  #reportDamage(key: Buffer): void {
    const name = recordNameOf(key);
    this.#damaged.add(name);
    for (const listener of this.#listeners) listener(name);
    // A key that its own name does not hash to is itself the damage: nothing will ever be put there again.
    if (hashName(name) !== positionOf(key)) this.#table.remove(key).catch(() => undefined);
  }
}

/** The entry's checksum has proved that these are the bytes `put` wrote. */
function parseRecord(json: string): FileRecord {
  return JSON.parse(json) as FileRecord;
}
