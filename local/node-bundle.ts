import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import type { NodeBundle } from './compute.ts';

const bundleSchema = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), path: z.string() });

/** `path` is written by the packaging plugin, absolute or relative to the project or to the file that names it. */
async function archiveOf(path: string, packageDirectory: string): Promise<string> {
  const bases = [join(packageDirectory, 'node'), dirname(packageDirectory), packageDirectory];
  for (const base of bases) {
    const candidate = resolve(base, path);
    if ((await stat(candidate).catch(() => undefined))?.isFile()) return candidate;
  }
  throw new Error(`the node bundle ${path} is missing: run \`npx sls package\``);
}

/**
 * The packaged node with this sha, or the current one.
 * @throws Error when it was never packaged, or packaged over since.
 */
export async function findNodeBundle(
  packageDirectory: string,
  sha256: string | undefined,
): Promise<NodeBundle> {
  const text = await readFile(join(packageDirectory, 'node', 'bundle.json'), 'utf8').catch(
    (cause: unknown) => {
      throw new Error('there is no node bundle: run `npx sls package`', { cause });
    },
  );
  const current = bundleSchema.parse(JSON.parse(text));
  const wanted = sha256 ?? current.sha256;
  if (wanted === current.sha256)
    return { sha256: wanted, path: await archiveOf(current.path, packageDirectory) };
  return { sha256: wanted, path: await archiveOf(`${wanted}.tgz`, packageDirectory) };
}
