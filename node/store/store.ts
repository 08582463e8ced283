import type { FileRecord, Version } from '../../domain/file-record.ts';
import type { Identifier } from '../../domain/identifier.ts';

/** The half-open stretch (from, to] of the circle; `from` = `to` is the whole circle. */
export interface Arc {
  readonly from: Identifier;
  readonly to: Identifier;
}

/** A chunk belongs to exactly one upload, so nothing is shared and deletion never needs to count references. */
export interface ChunkId {
  readonly key: Identifier;
  readonly uploadId: string;
  readonly index: number;
}

export interface ChunkInfo extends ChunkId {
  /** Name of the file; its record says whether this upload is the live one. */
  readonly name: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Ms since the epoch, this node's clock. For grace periods and receipts only. */
  readonly storedMs: number;
  readonly verifiedMs: number;
}

/** Equal digests: equal sets, but for a chance of 2^-64. Order does not matter. */
export interface Digest {
  readonly count: number;
  readonly sizeBytes: number;
  /** 16 hex digits. */
  readonly hash: string;
}

/**
 * What one node keeps on its disk. Everything that resolves is durable: a power cut the next instant loses none of
 * it. Two implementations, one contract suite: on disk, and in memory for simulations.
 */
export interface Store {
  usage(): { readonly usedBytes: number; readonly capacityBytes: number; readonly fileCount: number };

  /**
   * @throws ChordfsError `CORRUPT` when there is a record but its bytes fail their checksum: this replica knows
   * nothing of the file then, which is not the same as "no such file". The next `putRecord` repairs it.
   */
  getRecord(name: string): FileRecord | undefined;
  /** Keeps the newer of what it has and what it is given; safe to repeat. Resolves to what is stored afterwards. */
  putRecord(record: FileRecord): Promise<FileRecord>;
  /** Whether a live record would be taken now. @throws ChordfsError `VOLUME_FULL` */
  checkRoomForRecord(): Promise<void>;
  /** Removes the record (a confirmed tombstone, or one that left the arc) if it still has this version. */
  removeRecord(name: string, version: Version): Promise<boolean>;
  /** Records in the arc in ring order, then by name; starts after `after` when given. */
  scanRecords(
    arc: Arc,
    options: { readonly after?: FileRecord | undefined; readonly limit: number },
  ): FileRecord[];
  /** Over (name, version, deleted) of every record in the arc. */
  digestRecords(arc: Arc): Digest;

  getChunk(id: ChunkId): ChunkInfo | undefined;
  /**
   * Verifies, writes and publishes one chunk of at most CHUNK_SIZE_BYTES; safe to repeat. `uploadId` is 1 to 64
   * letters, digits, `-` or `_`. The bytes must not change until it resolves. `isChecked`: the caller has hashed
   * these very bytes, in this process, since they arrived; they are not hashed again.
   * @throws ChordfsError `CORRUPT` when the bytes do not match `sha256`, `VOLUME_FULL` before the disk is full,
   * `STORAGE_FAILED` after an I/O error.
   */
  putChunk(
    info: Omit<ChunkInfo, 'storedMs' | 'verifiedMs'>,
    bytes: Uint8Array,
    options?: { readonly isChecked?: boolean | undefined },
  ): Promise<void>;
  /**
   * The whole chunk, checked against its checksum before a byte is returned; undefined when absent. A copy that
   * fails the check is moved to quarantine, reported to `onCorrupt`, and absent from then on. `into`: memory for it,
   * of CHUNK_SIZE_BYTES, which may be left unused.
   */
  readChunk(id: ChunkId, into?: Uint8Array): Promise<Uint8Array | undefined>;
  removeChunk(id: ChunkId): Promise<void>;
  scanChunks(
    arc: Arc,
    options: { readonly after?: ChunkId | undefined; readonly limit: number },
  ): ChunkInfo[];
  /** Over (key, uploadId, index, sha256) of every chunk in the arc. */
  digestChunks(arc: Arc): Digest;

  /** Shows (or stops showing) a single-chunk file as a plain read-only file of its name in the node's `files/` folder. */
  exposeFile(record: FileRecord): Promise<void>;
  hideFile(name: string): Promise<void>;

  onCorrupt(listener: (chunk: ChunkInfo) => void): void;
  /** A record whose bytes are damaged: left out of scans and digests until `putRecord` brings it back. */
  onCorruptRecord(listener: (name: string) => void): void;
  /** Small values that must survive a restart: identity, ring view. Durable when it resolves. */
  getSetting(key: string): string | undefined;
  putSetting(key: string, value: string): Promise<void>;
  close(): Promise<void>;
}
