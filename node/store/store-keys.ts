import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import { stretchesOfArc } from './arc-digest.ts';
import type { Arc, ChunkId } from './store.ts';

/**
 * Sort keys of the store: the ring position big-endian, then what tells apart the items that share it. Byte order is
 * then ring order, so an arc is a range scan.
 */

const POSITION_BYTES = 4;
/** Longest name a record may have, UTF-8. The HTTP surface allows 255; beyond 1,024 the index could not hold the key. */
const MAX_NAME_BYTES = 1_024;

/** Half of a UTF-16 pair has no UTF-8: two such names would become one key. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export function recordKey(name: string): Buffer {
  const nameBytes = Buffer.byteLength(name);
  if (nameBytes === 0 || nameBytes > MAX_NAME_BYTES || LONE_SURROGATE.test(name))
    throw new ChordfsError('INVALID_FILE_NAME', { nameBytes });
  const key = Buffer.allocUnsafe(POSITION_BYTES + nameBytes);
  key.writeUInt32BE(hashName(name), 0);
  key.write(name, POSITION_BYTES);
  return key;
}

export function recordNameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + POSITION_BYTES, key.byteLength - POSITION_BYTES).toString();
}

/** Also the chunk's file name, so only characters that every file system keeps as they are. */
const UPLOAD_ID = /^[A-Za-z0-9_-]{1,64}$/;

export function chunkKey({ key, uploadId, index }: ChunkId): Buffer {
  if (!UPLOAD_ID.test(uploadId))
    throw new ChordfsError('INVALID_REQUEST', { uploadIdLength: uploadId.length });
  const bytes = Buffer.allocUnsafe(POSITION_BYTES + uploadId.length + 1 + 4);
  bytes.writeUInt32BE(key, 0);
  bytes.write(uploadId, POSITION_BYTES, 'latin1');
  // Below every character of an upload id, so that one id never sorts between another's chunks.
  bytes[POSITION_BYTES + uploadId.length] = 0;
  bytes.writeUInt32BE(index, POSITION_BYTES + uploadId.length + 1);
  return bytes;
}

export function positionOf(key: Uint8Array): number {
  return Buffer.from(key.buffer, key.byteOffset, POSITION_BYTES).readUInt32BE(0);
}

/** The first possible key at a ring position, or past the whole circle for 2^32. */
export function positionKey(position: number): Buffer {
  const key = Buffer.allocUnsafe(POSITION_BYTES + 1);
  if (position > 0xffffffff) return Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  key.writeUInt32BE(position, 0);
  return key.subarray(0, POSITION_BYTES);
}

/** Refuses what could never be stored, before any byte is written. */
export function checkChunkSize(declaredBytes: number, bytes: Uint8Array): void {
  if (bytes.byteLength > CHUNK_SIZE_BYTES)
    throw new ChordfsError('INVALID_REQUEST', { sizeBytes: bytes.byteLength });
  if (bytes.byteLength !== declaredBytes) {
    throw new ChordfsError('CORRUPT', { declaredBytes, receivedBytes: bytes.byteLength });
  }
}

/** Versions must be exact integers: they decide which of two records survives. */
export function checkRecord({ version, sizeBytes }: FileRecord): void {
  if (!Number.isSafeInteger(version.counter) || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new ChordfsError('INVALID_REQUEST', { counter: version.counter, sizeBytes });
  }
}

/**
 * The key ranges of an arc in clockwise order, without what lies at or before `after`. When `after` lies outside the
 * arc nothing is left out.
 */
export function scanRanges(arc: Arc, after: Buffer | undefined): { start: Buffer; end: Buffer }[] {
  const ranges = stretchesOfArc(arc);
  const position = after?.readUInt32BE(0) ?? -1;
  const resumeAt = ranges.findIndex(([first, last]) => position >= first && position <= last);
  return ranges.slice(Math.max(resumeAt, 0)).map(([first, last], i) => ({
    start: i === 0 && resumeAt !== -1 && after !== undefined ? keyAfter(after) : positionKey(first),
    end: positionKey(last + 1),
  }));
}

/** The least key greater than `key`. */
export function keyAfter(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.of(0)]);
}
