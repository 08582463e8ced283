import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import type { ChunkId, Store } from '../store/store.ts';
import type { ReplyOf, RequestOf } from './peer-operations.ts';
import { readRecord } from './record-reader.ts';

/**
 * What movement asks for many at a time. A small file costs as much to ask for as to send, so one request for each
 * would make a join wait for round trips instead of for the disk.
 */

/** At most one chunk's worth of content, so that a reply takes no more memory than any other. */
class Payload {
  readonly #pieces: Uint8Array[] = [];
  #sizeBytes = 0;

  hasRoomFor(sizeBytes: number): boolean {
    return this.#sizeBytes + sizeBytes <= CHUNK_SIZE_BYTES;
  }

  /** How many bytes were added: 0 when there is nothing to add. */
  add(piece: Uint8Array | undefined): number {
    if (piece === undefined) return 0;
    this.#pieces.push(piece);
    this.#sizeBytes += piece.byteLength;
    return piece.byteLength;
  }

  bytes(): Uint8Array | undefined {
    const [first, ...more] = this.#pieces;
    return more.length === 0 ? first : Buffer.concat(this.#pieces, this.#sizeBytes);
  }
}

/** @throws ChordfsError `NODE_NOT_READY` when one of the records is damaged here: it is not known to be absent. */
export async function readRecordsAtOnce(
  store: Pick<Store, 'getRecord' | 'readChunk'>,
  wanted: RequestOf<'read-records'>['wanted'],
): Promise<{ readonly reply: ReplyOf<'read-records'>; readonly payload: Uint8Array | undefined }> {
  const payload = new Payload();
  const found: ReplyOf<'read-records'>['found'] = [];
  for (const { name, withContent } of wanted) {
    const record = readRecord(store, name);
    if (record === 'damaged') {
      throw new ChordfsError('NODE_NOT_READY', { key: hashName(name), reason: 'damaged record' });
    }
    const isWanted = withContent && isSmall(record) && payload.hasRoomFor(record.sizeBytes);
    const content = isWanted
      ? await store.readChunk({ key: hashName(name), uploadId: record.uploadId, index: 0 })
      : undefined;
    found.push({ record, contentBytes: payload.add(content) });
  }
  return { reply: { found }, payload: payload.bytes() };
}

export async function readChunksAtOnce(
  store: Pick<Store, 'getChunk' | 'readChunk'>,
  chunks: readonly ChunkId[],
): Promise<{ readonly reply: ReplyOf<'get-chunks'>; readonly payload: Uint8Array | undefined }> {
  const payload = new Payload();
  const sizesBytes: number[] = [];
  for (const id of chunks) {
    const info = store.getChunk(id);
    const isWanted = info !== undefined && payload.hasRoomFor(info.sizeBytes);
    sizesBytes.push(payload.add(isWanted ? await store.readChunk(id) : undefined));
  }
  return { reply: { sizesBytes }, payload: payload.bytes() };
}

/** A file of one chunk, which lies where its record does. */
function isSmall(record: FileRecord | undefined): record is FileRecord {
  return record !== undefined && !record.deleted && record.chunks.length === 1;
}
