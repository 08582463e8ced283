import { createHash } from 'node:crypto';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import { identifier } from '../../domain/identifier.ts';

/** What the victim writes is decided by name and version alone, so that its verifier needs no copy of it. */

export const NAME_COUNT = 40;

export function nameAt(i: number): string {
  return `file ${i}.bin`;
}

/** Every fifth version is a delete. */
export function isDelete(version: number): boolean {
  return version % 5 === 0;
}

const SIZES = [0, 1, 100, 4_096, 5_000, 65_536, 200_000, 1_048_576] as const;

export function contentOf(name: string, version: number): Buffer {
  const seed = createHash('sha256').update(`${name}\0${version}`).digest();
  const sizeBytes = SIZES[seed.readUInt8(0) % SIZES.length] ?? 0;
  const bytes = Buffer.alloc(sizeBytes, seed);
  // No two blocks are equal, so that one in the place of another would show.
  for (let at = 0; at + 4 <= sizeBytes; at += 512) bytes.writeUInt32BE(at, at);
  return bytes;
}

export function recordOf(name: string, version: number): FileRecord {
  const deleted = isDelete(version);
  const bytes = deleted ? Buffer.of() : contentOf(name, version);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    ...{ name, deleted, sizeBytes: bytes.byteLength, sha256, contentType: 'application/octet-stream' },
    version: { counter: version, nodeId: identifier(1) },
    modifiedMs: 0,
    uploadId: `v${version}`,
    chunks: deleted ? [] : [{ sha256, sizeBytes: bytes.byteLength, key: hashName(name) }],
  };
}

/** For each name, by its number: the newest version that was acknowledged and the newest that was tried. */
export interface Progress {
  readonly acknowledged: number[];
  readonly tried: number[];
}

export type FromVictim =
  | { readonly kind: 'opened'; readonly problems: readonly string[]; readonly found: readonly number[] }
  | { readonly kind: 'tried' | 'acknowledged'; readonly name: number; readonly version: number };
