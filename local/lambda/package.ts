import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { unzipSync } from 'fflate';

/** Unpacked size above which Lambda refuses a package. */
const MAX_UNPACKED_BYTES = 250 * 1024 * 1024;

/**
 * Unpacks a packaged function into `directory`, replacing what was there.
 * @throws Error when the archive is damaged, too big or points outside the folder.
 */
export async function unpackFunction(
  { name, archive }: { readonly name: string; readonly archive: Uint8Array },
  directory: string,
): Promise<void> {
  let sizeBytes = 0;
  const files = unzipSync(archive, {
    filter({ originalSize }) {
      sizeBytes += originalSize;
      if (sizeBytes > MAX_UNPACKED_BYTES) throw new Error(`${name} unpacks to more than Lambda takes`);
      return true;
    },
  });
  const fresh = `${directory}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  // Without this, the nearest package.json above decides whether .js means ESM: on Lambda there is none above.
  if (files['package.json'] === undefined) await writeFile(join(fresh, 'package.json'), '{}');
  for (const [entry, bytes] of Object.entries(files)) {
    const path = resolve(fresh, entry);
    if (!path.startsWith(fresh + sep)) throw new Error(`${name} has an entry outside its folder: ${entry}`);
    if (entry.endsWith('/')) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  await rm(directory, { recursive: true, force: true });
  await rename(fresh, directory);
}
