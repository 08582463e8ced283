import { hash } from 'node:crypto';
import type { FileRecord } from '../../domain/file-record.ts';
import type { ChunkId } from './store.ts';

/** 64 bits of SHA-256 as two unsigned halves: bigint arithmetic would cost more than the hash itself. */
export interface ItemHash {
  readonly high: number;
  readonly low: number;
}

function hash64(text: string): ItemHash {
  const digest = hash('sha256', text, 'buffer');
  return { high: digest.readUInt32BE(0), low: digest.readUInt32BE(4) };
}

/** What two replicas must agree on about a record: its name, version, and whether it is a tombstone. */
export function hashRecord({ name, version, deleted }: FileRecord): ItemHash {
  return hash64(`${version.counter}\0${version.nodeId}\0${deleted}\0${name}`);
}

/** What two replicas must agree on about a chunk: its identity and its content. */
export function hashChunkInfo({
  key,
  uploadId,
  index,
  sha256,
}: ChunkId & { readonly sha256: string }): ItemHash {
  return hash64(`${key}\0${uploadId}\0${index}\0${sha256}`);
}
