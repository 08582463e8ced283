import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { FleetProcess } from '../fleet/fleet-process.ts';

/** Changes bytes in the data folder of a running node, behind its back, and looks at what is in there afterwards. */

/** The file in which a node keeps this chunk, if it has one. */
export function chunkFileOf({ spec }: FleetProcess, uploadId: string, index: number): string | undefined {
  const chunks = join(spec.directory, 'chunks');
  for (const shard of readdirSync(chunks)) {
    const name = readdirSync(join(chunks, shard)).find((each) => each.endsWith(`-${uploadId}-${index}`));
    if (name !== undefined) return join(chunks, shard, name);
  }
  return undefined;
}

export function flipByte(path: string, offset: number): void {
  const byte = readFileSync(path)[offset] ?? 0;
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.of(byte ^ 0x10), 0, 1, offset);
  closeSync(file);
}

/** Whether the node's copy is there and is what was written; in between it may be missing. */
export function hasGoodChunk(node: FleetProcess, uploadId: string, index: number, sha256: string): boolean {
  const path = chunkFileOf(node, uploadId, index);
  return path !== undefined && existsSync(path) && sha256Of(readFileSync(path)) === sha256;
}

/**
 * Flips one byte in the record of a name, wherever pages of the index hold it: a freed page may have it as well, and
 * which one is in use only lmdb knows. The entries of the file's chunks have the name too and are left alone.
 * Resolves to how many places were found.
 */
export function flipByteOfRecord({ spec }: FleetProcess, name: string): number {
  const path = join(spec.directory, 'index', 'data.mdb');
  const bytes = readFileSync(path);
  const mark = Buffer.from(`"name":${JSON.stringify(name)},"`);
  const file = openSync(path, 'r+');
  let found = 0;
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + 1)) {
    const following = bytes.toString('latin1', at + mark.byteLength, at + mark.byteLength + 8);
    if (following === 'uploadId') continue;
    const target = at + mark.byteLength + 1;
    writeSync(file, Buffer.of((bytes[target] ?? 0) ^ 0x01), 0, 1, target);
    found++;
  }
  closeSync(file);
  return found;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
