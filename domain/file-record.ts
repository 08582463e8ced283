import type { Identifier } from './identifier.ts';

/** Copies kept of every record and chunk: the owner and its next R-1 successors (all members when fewer). */
export const REPLICA_COUNT = 3;
/** Durable copies without which no write is acknowledged, while a replica is down. */
export const WRITE_QUORUM = 2;
/** Bytes in every chunk but the last. Raised: fewer round trips, coarser balance. Lowered: the reverse. */
export const CHUNK_SIZE_BYTES = 4 * 1024 * 1024;

/** Issued by the owner of the name: ordered by counter, then by node id. Never a wall clock. */
export interface Version {
  readonly counter: number;
  readonly nodeId: Identifier;
}

export function compareVersions(a: Version, b: Version): number {
  return a.counter - b.counter || a.nodeId - b.nodeId;
}

export interface ChunkRef {
  /** Content address: lower-case hex SHA-256 of the chunk's bytes. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Ring position that decides on which members the chunk lives. */
  readonly key: Identifier;
}

/** One version of one file, or its tombstone. Stored under its full name on the replicas of `hashName(name)`. */
export interface FileRecord {
  readonly name: string;
  readonly version: Version;
  /** A tombstone hides every older version until all replicas have confirmed it. */
  readonly deleted: boolean;
  readonly sizeBytes: number;
  /** Of the whole content, lower-case hex; the entity tag derives from it. */
  readonly sha256: string;
  readonly contentType: string;
  /** When the owner committed it, ms since the epoch. For people and `Last-Modified`; never decides an order. */
  readonly modifiedMs: number;
  /** Distinguishes two uploads of the same name, see `hashChunk`. */
  readonly uploadId: string;
  readonly chunks: readonly ChunkRef[];
}
