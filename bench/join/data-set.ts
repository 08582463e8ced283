import { createHash } from 'node:crypto';
import { hashChunk, hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import type { Identifier } from '../../domain/identifier.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { sayingOf } from '../fleet/node-http.ts';

/** A file of the data set: what it holds follows from its name and size. */
export interface DataFile {
  readonly name: string;
  readonly sizeBytes: number;
}

const DOWNLOADS_AT_ONCE = 8;
const MAX_ATTEMPTS = 5;
const UPLOAD_TIMEOUT_MS = 120_000;

export function dataSet(options: {
  readonly smallCount: number;
  readonly smallBytes: number;
  readonly largeCount: number;
  readonly largeBytes: number;
}): DataFile[] {
  const files = (label: string, count: number, sizeBytes: number): DataFile[] =>
    Array.from({ length: count }, (_, i) => ({ name: `${label} ${i}.bin`, sizeBytes }));
  return [
    ...files('small', options.smallCount, options.smallBytes),
    ...files('large', options.largeCount, options.largeBytes),
  ];
}

export function bytesOf({ name, sizeBytes }: DataFile): Buffer {
  const bytes = Buffer.alloc(sizeBytes, createHash('sha256').update(name).digest());
  for (let at = 0; at + 4 <= sizeBytes; at += 4_096) bytes.writeUInt32BE(at, at);
  return bytes;
}

/** @throws when an upload is refused again and again: filling is not what is measured. */
export async function fill(fleet: Fleet, files: readonly DataFile[], uploadsAtOnce: number): Promise<void> {
  const waiting = files.entries();
  const worker = async () => {
    for (const [i, file] of waiting) {
      const nodes = fleet.answering();
      const host = nodes[i % nodes.length]?.spec.address ?? '';
      const path = `/${encodeURIComponent(file.name)}`;
      const ask = { method: 'PUT' as const, path, body: bytesOf(file), timeoutMs: UPLOAD_TIMEOUT_MS };
      for (let attempt = 1; ; attempt++) {
        const { status, body } = await fleet.http.ask(host, ask);
        if (status < 300) break;
        if (attempt === MAX_ATTEMPTS) throw new Error(`${file.name}: ${status} ${sayingOf(body)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: uploadsAtOnce }, worker));
}

/** Names whose bytes do not come back whole through the node at their turn. */
export async function missingFrom(fleet: Fleet, files: readonly DataFile[]): Promise<string[]> {
  const missing: string[] = [];
  const waiting = files.entries();
  const worker = async () => {
    for (const [i, file] of waiting) {
      const nodes = fleet.answering();
      const host = nodes[i % nodes.length]?.spec.address ?? '';
      const path = `/${encodeURIComponent(file.name)}`;
      const answer = await fleet.http
        .ask(host, { method: 'GET', path, timeoutMs: UPLOAD_TIMEOUT_MS })
        .catch(() => undefined);
      if (answer?.status !== 200 || !answer.body.equals(bytesOf(file))) missing.push(file.name);
    }
  };
  await Promise.all(Array.from({ length: DOWNLOADS_AT_ONCE }, worker));
  return missing;
}

/** Where each piece of the data set lies on the ring. */
export async function piecesOf(
  fleet: Fleet,
  files: readonly DataFile[],
): Promise<{ readonly key: Identifier; readonly sizeBytes: number }[]> {
  const [node] = fleet.answering();
  const pieces: { key: Identifier; sizeBytes: number }[] = [];
  for (const { name, sizeBytes } of files) {
    if (sizeBytes <= CHUNK_SIZE_BYTES) {
      pieces.push({ key: hashName(name), sizeBytes });
      continue;
    }
    const path = `/_chordfs/receipt/${encodeURIComponent(name)}`;
    const { record } = await fleet.http.json<{ record: { uploadId: string } }>(
      node?.spec.address ?? '',
      path,
    );
    for (let at = 0, index = 0; at < sizeBytes; at += CHUNK_SIZE_BYTES, index++) {
      const key = hashChunk(name, index, record.uploadId);
      pieces.push({ key, sizeBytes: Math.min(CHUNK_SIZE_BYTES, sizeBytes - at) });
    }
  }
  return pieces;
}

/** The least that must travel between two memberships: each piece to each replica that it is new to. */
export function idealMove(
  pieces: readonly { readonly key: Identifier; readonly sizeBytes: number }[],
  before: readonly RingMember[],
  after: readonly RingMember[],
): { readonly bytes: number; readonly pieces: number } {
  let bytes = 0;
  let count = 0;
  for (const { key, sizeBytes } of pieces) {
    const had = new Set(replicasOf(key, before).current.map(({ instanceId }) => instanceId));
    const gained = replicasOf(key, after).current.filter(({ instanceId }) => !had.has(instanceId)).length;
    bytes += gained * sizeBytes;
    count += gained;
  }
  return { bytes, pieces: count };
}
