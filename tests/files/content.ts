import { createHash } from 'node:crypto';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Files, OnConflict } from '../../node/files/files.ts';

/** Bytes that differ at every position and with every seed. */
export function contentOf(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  let state = (seed * 2_654_435_761) >>> 0;
  for (let i = 0; i < sizeBytes; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export async function* inPieces(bytes: Uint8Array, pieceBytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

export async function upload(
  files: Files,
  name: string,
  bytes: Uint8Array,
  options: { onConflict?: OnConflict; ifMatch?: string[]; ifNoneMatch?: string[]; signal?: AbortSignal } = {},
): Promise<FileRecord> {
  const signal = options.signal ?? never();
  const staged = await files.stage(name, inPieces(bytes), { contentType: 'text/plain', signal });
  return await staged.commit({ onConflict: 'replace', ...options, signal });
}

export async function download(
  files: Files,
  name: string,
  range?: { start: number; end: number },
): Promise<Buffer | undefined> {
  const file = await files.open(name, { signal: never() });
  if (file === undefined) return undefined;
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read(range ?? { start: 0, end: file.record.sizeBytes }, never())) {
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
