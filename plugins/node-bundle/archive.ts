import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { create } from 'tar';

/** A tar of a folder's files, byte for byte the same for the same files: sorted, no times, no owners, fixed modes. */
export async function archive(folder: string): Promise<Uint8Array> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort((a, b) => (a < b ? -1 : 1));
  const parts: Uint8Array[] = [];
  const stream = create(
    { cwd: folder, portable: true, mtime: new Date(0), noPax: true, onWriteEntry: fixMode },
    files,
  );
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** The umask of whoever installed the packages must not show in the hash. */
function fixMode(entry: { stat?: { mode: number } | undefined }): void {
  if (entry.stat !== undefined) entry.stat.mode = 0o100644;
}
