import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { unzipSync } from 'fflate';

/** Unpacked size above which Lambda refuses a package. */
const MAX_UNPACKED_BYTES = 250 * 1024 * 1024;

/**
 * Unpacks a packaged function into `directory`, replacing what was there.
 * @throws Error when the archive is missing, damaged, too big or points outside the folder.
 */
export async function unpackFunction(archivePath: string, directory: string): Promise<void> {
  let archive: Uint8Array;
  try {
    archive = await readFile(archivePath);
  } catch (cause) {
    throw new Error(`the function package ${archivePath} is missing: run \`npx sls package\``, { cause });
  }
  let sizeBytes = 0;
  const files = unzipSync(archive, {
    filter({ originalSize }) {
      sizeBytes += originalSize;
      if (sizeBytes > MAX_UNPACKED_BYTES) throw new Error(`${archivePath} unpacks to more than Lambda takes`);
      return true;
    },
  });
  const fresh = `${directory}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  // Without this, the nearest package.json above decides whether .js means ESM: on Lambda there is none above.
  if (files['package.json'] === undefined) await writeFile(join(fresh, 'package.json'), '{}');
  for (const [name, bytes] of Object.entries(files)) {
    const path = resolve(fresh, name);
    if (!path.startsWith(fresh + sep))
      throw new Error(`${archivePath} has an entry outside its folder: ${name}`);
    if (name.endsWith('/')) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  await rm(directory, { recursive: true, force: true });
  await rename(fresh, directory);
}
