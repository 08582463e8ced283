import type { FileRecord } from '../../domain/file-record.ts';

/** Who reads, and how. */
export interface Reader {
  /** The client's address: clients that share a node take turns by it. */
  readonly caller?: string | undefined;
  /** The client moves next to nothing while others wait; the reading has to be ended. Undefined: it is waited for. */
  readonly onTooSlow?: ((error: Error) => void) | undefined;
  /** A piece is overwritten once the next one has been asked for. */
  readonly reusesMemory?: boolean | undefined;
}

export interface StageOptions {
  /** The client's address, as for `Reader`. */
  readonly caller?: string | undefined;
  readonly contentType: string;
  readonly signal: AbortSignal;
}

/** What to do when the name is taken: replace it atomically, store under `base (1).ext`, or refuse with FILE_EXISTS. */
export type OnConflict = 'replace' | 'rename' | 'refuse';

export interface CommitOptions {
  readonly onConflict: OnConflict;
  /** Entity tags without quotes, `*` for any: RFC 9110 section 13. @throws PRECONDITION_FAILED */
  readonly ifMatch?: readonly string[] | undefined;
  readonly ifNoneMatch?: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/** All bytes of one upload are durable on their replicas; nothing is visible yet. */
export interface StagedFile {
  /** Makes it visible at once and whole. Resolves to the record as committed: its name differs after a rename. */
  commit(options: CommitOptions): Promise<FileRecord>;
  /** Forgets the upload; its chunks are collected later. Safe after `commit` (does nothing). */
  abort(): Promise<void>;
}

export interface OpenFile {
  readonly record: FileRecord;
  /**
   * Verified bytes of [start, end), read ahead, failing over between replicas. Touches only the chunks it needs.
   * Memory is held for a piece until the next one is asked for, or the iterator is returned.
   * @throws ChordfsError `NODE_BUSY`
   */
  read(
    range: { readonly start: number; readonly end: number },
    signal: AbortSignal,
    reader?: Reader,
  ): AsyncIterable<Uint8Array>;
}

/** One copy of one part of a file. */
export interface Copy {
  readonly instanceId: string;
  readonly publicIp: string;
  /** The record, or a chunk by its place in the file. */
  readonly part: 'record' | number;
  /** Of the part as this member has it; for the record, of the whole content that it describes. */
  readonly sha256: string;
  /** When this copy was last compared with its checksum, ms since the epoch by the clock of its member. */
  readonly verifiedMs: number;
}

/** A copy that should be there. `absent`: the member answered and has none, or has a damaged one. */
export interface MissingCopy {
  readonly instanceId: string;
  readonly publicIp: string;
  readonly part: 'record' | number;
  readonly reason: 'absent' | 'no answer';
}

/** Where the copies of a file live and how sure we are of them. */
export interface Receipt {
  /** With the version, and the checksum of the whole and of every chunk. */
  readonly record: FileRecord;
  /** Every copy that should be there is. */
  readonly isComplete: boolean;
  readonly copies: readonly Copy[];
  readonly missing: readonly MissingCopy[];
}

/** The files of the whole ring, whichever node is asked. */
export interface Files {
  /**
   * Streams an upload to its replicas in bounded memory.
   * @throws ChordfsError `NODE_BUSY`, `VOLUME_FULL`, `REPLICAS_UNAVAILABLE`, `INVALID_FILE_NAME`.
   */
  stage(name: string, body: AsyncIterable<Uint8Array>, options: StageOptions): Promise<StagedFile>;
  /** The live version; undefined when there is none or it was deleted. */
  open(name: string, options: { readonly signal: AbortSignal }): Promise<OpenFile | undefined>;
  /** False when there was nothing to delete. */
  delete(
    name: string,
    options: { readonly ifMatch?: readonly string[] | undefined; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** Every live file of the ring, by name. @throws ChordfsError `PEER_UNREACHABLE` rather than leave some out. */
  list(options: { readonly signal: AbortSignal }): Promise<readonly FileRecord[]>;
  receipt(name: string, options: { readonly signal: AbortSignal }): Promise<Receipt | undefined>;
}
