import type { FileRecord, Version } from '../../domain/file-record.ts';
import { ChunkFiles } from './chunk-files.ts';
import { ChunkStore } from './chunk-store.ts';
import { ChunkTable } from './chunk-table.ts';
import { DiskHealth } from './disk-health.ts';
import { ExposedFiles } from './exposed-files.ts';
import { type FileSystem, nodeFileSystem } from './file-system.ts';
import { type FolderLock, lockFolder } from './folder-lock.ts';
import { RecordTable } from './record-table.ts';
import { openOrReplaceIndex } from './replace-index.ts';
import { Scrubber, type ScrubOptions } from './scrubber.ts';
import type { Arc, ChunkId, ChunkInfo, Digest, Store } from './store.ts';
import type { StoreIndex } from './store-index.ts';
import { Volume } from './volume.ts';

export interface DiskStoreOptions {
  /** The data folder; made when absent. Only one store may have it open. */
  readonly directory: string;
  /** Use at most this much of the volume; undefined: all of it. */
  readonly capacityBytes?: number | undefined;
  readonly fileSystem?: FileSystem;
  /** Ms since the epoch. */
  readonly now?: () => number;
  /** Verifies everything again and again in the background; undefined: only when `scrubber.pass` is called. */
  readonly scrub?: ScrubOptions | undefined;
  /** Told once, when an I/O error makes the store refuse writes from now on. A restart reads what is really there. */
  readonly onFailure?: (error: unknown) => void;
}

interface Parts {
  readonly lock: FolderLock;
  readonly index: StoreIndex;
  readonly files: ChunkFiles;
  readonly exposed: ExposedFiles;
  readonly fileSystem: FileSystem;
}

const SCRUB_CURSOR = 'store.scrub-cursor';
/** Fixed cost of a record in the index, beside its own bytes: the pages that a commit copies. */
const RECORD_ALLOWANCE_BYTES = 16 * 1024;
/** Only for passes that somebody asks for: as fast as the disk goes. */
const UNBOUNDED: ScrubOptions = { bytesPerSecond: Number.POSITIVE_INFINITY, pauseMs: 0 };

/** The store on one disk: chunks are files, all the rest is in an index (lmdb). */
export class DiskStore implements Store {
  readonly scrubber: Scrubber;
  readonly #parts: Parts;
  readonly #records: RecordTable;
  readonly #chunkTable: ChunkTable;
  readonly #chunks: ChunkStore;
  readonly #health: DiskHealth;
  readonly #volume: Volume;
  #isClosed = false;

  /** @throws Error when another process has the folder open, or the disk cannot be read. */
  static async open(options: DiskStoreOptions): Promise<DiskStore> {
    const fileSystem = options.fileSystem ?? nodeFileSystem;
    await fileSystem.makeFolder(options.directory);
    const lock = await lockFolder(options.directory);
    try {
      return await openOrReplaceIndex(options.directory, (options.now ?? Date.now)(), async (index) => {
        const files = new ChunkFiles(fileSystem, options.directory);
        const exposed = new ExposedFiles(fileSystem, options.directory, () => files.temporaryPath());
        await files.open();
        await exposed.open();
        const store = new DiskStore({ lock, index, files, exposed, fileSystem }, options);
        await store.#load();
        if (options.scrub !== undefined) store.scrubber.start();
        return store;
      });
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(parts: Parts, options: DiskStoreOptions) {
    const now = options.now ?? Date.now;
    this.#parts = parts;
    this.#health = new DiskHealth({
      onFailure: options.onFailure ?? (() => undefined),
      isFull: () => this.#volume.isExhausted(),
    });
    const onLoss = (error: unknown) => this.#health.fail(error);
    this.#records = new RecordTable(parts.index.records, onLoss);
    // The chunk of a damaged entry is gone for good: without the entry nobody knows what its bytes should be.
    this.#chunkTable = new ChunkTable(parts.index.chunks, {
      onDamage: (key) => {
        this.#chunkTable.removeKey(key).catch(() => undefined);
      },
      onLoss,
    });
    this.#volume = new Volume(parts.fileSystem, {
      directory: options.directory,
      capacityBytes: options.capacityBytes,
      usedBytes: () => this.#usedBytes(),
      now,
    });
    this.#chunks = new ChunkStore({
      table: this.#chunkTable,
      files: parts.files,
      health: this.#health,
      volume: this.#volume,
      now,
    });
    this.scrubber = new Scrubber(this.#scrubbed(), options.scrub ?? UNBOUNDED);
  }

  usage() {
    return {
      usedBytes: this.#usedBytes(),
      capacityBytes: this.#volume.capacityBytes,
      fileCount: this.#records.fileCount,
    };
  }

  getRecord(name: string): FileRecord | undefined {
    return this.#records.get(name);
  }

  putRecord(record: FileRecord): Promise<FileRecord> {
    return this.#health.guard(async () => {
      // A full disk must still take tombstones: they are what empties it.
      if (!record.deleted) await this.#volume.checkSpaceForRecord(RECORD_ALLOWANCE_BYTES);
      return this.#records.put(record);
    });
  }

  checkRoomForRecord(): Promise<void> {
    return this.#health.guard(() => this.#volume.checkSpaceForRecord(RECORD_ALLOWANCE_BYTES));
  }

  removeRecord(name: string, version: Version): Promise<boolean> {
    return this.#health.guard(() => this.#records.remove(name, version));
  }

  scanRecords(arc: Arc, options: { readonly after?: FileRecord | undefined; readonly limit: number }) {
    return this.#records.scan(arc, options);
  }

  digestRecords(arc: Arc): Digest {
    return this.#records.digest(arc);
  }

  getChunk(id: ChunkId): ChunkInfo | undefined {
    return this.#chunkTable.get(id);
  }

  putChunk(
    info: Omit<ChunkInfo, 'storedMs' | 'verifiedMs'>,
    bytes: Uint8Array,
    options?: { readonly isChecked?: boolean | undefined },
  ): Promise<void> {
    return this.#chunks.put(info, bytes, options);
  }

  readChunk(id: ChunkId, into?: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#chunks.read(id, into);
  }

  async removeChunk(id: ChunkId): Promise<void> {
    const chunk = this.#chunkTable.get(id);
    await this.#chunks.remove(id);
    if (chunk !== undefined && !this.#isShowable(chunk.name, { without: chunk.uploadId }))
      await this.hideFile(chunk.name);
  }

  scanChunks(arc: Arc, options: { readonly after?: ChunkId | undefined; readonly limit: number }) {
    return this.#chunkTable.scan(arc, options);
  }

  digestChunks(arc: Arc): Digest {
    return this.#chunkTable.digest(arc);
  }

  async exposeFile(record: FileRecord): Promise<void> {
    const { name, uploadId, chunks, deleted } = record;
    const [first, ...more] = chunks;
    if (deleted || more.length > 0) {
      await this.hideFile(name);
      return;
    }
    await this.#health.attempt(async () => {
      if (first === undefined) return this.#parts.exposed.showEmpty(name);
      const id = { key: first.key, uploadId, index: 0 };
      if (this.#chunkTable.get(id) === undefined) return;
      await this.#parts.exposed.show(name, this.#parts.files.pathOf(id), () => this.#chunks.read(id));
    });
  }

  hideFile(name: string): Promise<void> {
    return this.#health.attempt(() => this.#parts.exposed.hide(name));
  }

  onCorrupt(listener: (chunk: ChunkInfo) => void): void {
    this.#chunks.onCorrupt(listener);
  }

  onCorruptRecord(listener: (name: string) => void): void {
    this.#records.onCorrupt(listener);
  }

  getSetting(key: string): string | undefined {
    return this.#parts.index.settings.get(Buffer.from(key))?.toString();
  }

  putSetting(key: string, value: string): Promise<void> {
    return this.#health.guard(() => this.#parts.index.settings.put(Buffer.from(key), Buffer.from(value)));
  }

  /** Waits for what is being written. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.scrubber.stop();
    await Promise.all([this.#records.idle(), this.#chunks.idle()]);
    await this.#parts.index.close();
    await this.#parts.lock.release();
  }

  #usedBytes(): number {
    const { index, files } = this.#parts;
    return this.#chunkTable.allocatedBytes + index.allocatedBytes() + files.quarantinedBytes;
  }

  async #load(): Promise<void> {
    this.#records.load();
    this.#chunkTable.load();
    this.#chunks.onCorrupt(({ name }) => {
      // The link in `files/` is the same bad file.
      void this.hideFile(name);
    });
    await this.#volume.refresh();
    this.#parts.index.onDamage((error) => this.#health.fail(error));
  }

  /** Whether the `files/` folder may show something under this name, when the upload `without` is gone. */
  #isShowable(name: string, { without }: { readonly without?: string } = {}): boolean {
    try {
      const record = this.#records.get(name);
      return (
        record !== undefined && !record.deleted && record.chunks.length <= 1 && record.uploadId !== without
      );
    } catch {
      return false;
    }
  }

  #scrubbed() {
    const { files, exposed } = this.#parts;
    return {
      shards: files.shards(),
      sweep: (shard: string) => this.#chunks.sweep(shard),
      tidy: async () => {
        await files.trimQuarantine();
        for (const name of await exposed.plainNames()) {
          if (!this.#isShowable(name)) await this.hideFile(name);
        }
      },
      verifyRecords: (from: Uint8Array | undefined, limit: number) => this.#records.verify(from, limit),
      chunksFrom: (from: Uint8Array | undefined, limit: number) => this.#chunkTable.verify(from, limit),
      verifyChunk: (chunk: ChunkId) => this.#chunks.verify(chunk),
      markVerified: (chunks: readonly ChunkId[]) => this.#chunks.markVerified(chunks),
      getCursor: () => this.getSetting(SCRUB_CURSOR),
      setCursor: (cursor: string) => this.putSetting(SCRUB_CURSOR, cursor),
    };
  }
}
