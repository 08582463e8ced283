import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open } from 'lmdb';
import { ChordfsError } from '../../domain/errors.ts';
import { awaitCommit } from './commit-error.ts';
import { checkIndexHeader } from './index-header.ts';

/** One ordered table of byte strings. Writes resolve when durable; those made at the same time share one flush. */
export interface IndexTable {
  /** @throws ChordfsError `CORRUPT` when the pages that lead there are damaged. */
  get(key: Uint8Array): Buffer | undefined;
  put(key: Uint8Array, value: Uint8Array): Promise<void>;
  remove(key: Uint8Array): Promise<void>;
  /** Entries with start <= key < end, ascending, of one consistent moment. Must be consumed without waiting. */
  between(start: Uint8Array, end: Uint8Array): Iterable<{ readonly key: Uint8Array; readonly value: Buffer }>;
  /** How many entries the table says it has. A scan that finds another number went through damaged pages. */
  entryCount(): number;
  /** Reads from now on see everything committed before. */
  refresh(): void;
}

export interface StoreIndex {
  readonly records: IndexTable;
  readonly chunks: IndexTable;
  readonly settings: IndexTable;
  /** What the index takes on the disk. */
  allocatedBytes(): number;
  /** Told when pages of the index turn out damaged: beyond one value, so beyond repair while it is open. */
  onDamage(listener: (error: unknown) => void): void;
  close(): Promise<void>;
}

const DATA_FILE = 'data.mdb';
/** Of `stat.blocks`, whatever the file system's own block size. */
const STAT_BLOCK_BYTES = 512;

class LmdbTable implements IndexTable {
  readonly #database: Database<Buffer, Uint8Array>;
  readonly #onDamage: (error: unknown) => void;

  constructor(database: Database<Buffer, Uint8Array>, onDamage: (error: unknown) => void) {
    this.#database = database;
    this.#onDamage = onDamage;
  }

  get(key: Uint8Array): Buffer | undefined {
    try {
      return this.#database.get(key);
    } catch (error) {
      throw this.#damage(error);
    }
  }

  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    await awaitCommit(this.#database.put(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength)));
  }

  async remove(key: Uint8Array): Promise<void> {
    await awaitCommit(this.#database.remove(key));
  }

  *between(start: Uint8Array, end: Uint8Array) {
    try {
      yield* this.#database.getRange({ start, end });
    } catch (error) {
      throw this.#damage(error);
    }
  }

  entryCount(): number {
    // The library's types leave out what the statistics hold.
    return (this.#database.getStats() as { readonly entryCount: number }).entryCount;
  }

  refresh(): void {
    this.#database.resetReadTxn();
  }

  #damage(error: unknown): ChordfsError {
    this.#onDamage(error);
    return new ChordfsError('CORRUPT', { part: 'index' }, { cause: error });
  }
}

/**
 * The index in one lmdb environment.
 *
 * `overlappingSync` is off, against lmdb-js's default: with it a commit resolves before its flush, and after a crash
 * the newest commit is trusted as long as the machine has not rebooted, which a remounted volume proves wrong.
 * Without it a commit is the classic one: data, flush, then the page that points to it, flushed as well.
 *
 * @throws Whatever lmdb says about a file it cannot make sense of.
 */
export function openIndex(folder: string): StoreIndex {
  checkIndexHeader(join(folder, DATA_FILE));
  const root = open<Buffer, Uint8Array>({
    path: folder,
    noSubdir: false,
    maxDbs: 4,
    overlappingSync: false,
    // Writes made while a commit runs share the next one without it; with it, a failed commit rejects a promise that
    // nobody but the library holds, which ends the process.
    eventTurnBatching: false,
    // Uninitialised memory must not reach the disk of a store that may be handed on.
    noMemInit: false,
  });
  const listeners: ((error: unknown) => void)[] = [];
  const table = (name: string) =>
    new LmdbTable(
      root.openDB<Buffer, Uint8Array>({ name, encoding: 'binary', keyEncoding: 'binary' }),
      (error) => {
        for (const listener of listeners) listener(error);
      },
    );
  return {
    records: table('records'),
    chunks: table('chunks'),
    settings: table('settings'),
    allocatedBytes: () => statSync(join(folder, DATA_FILE)).blocks * STAT_BLOCK_BYTES,
    onDamage: (listener) => listeners.push(listener),
    async close() {
      await root.close();
    },
  };
}
