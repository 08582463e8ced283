import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import type { NodeBundle } from './compute.ts';

const bundleSchema = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), path: z.string() });

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/** `path` is written by the packaging plugin, absolute or relative to the project or to the file that names it. */
async function archiveOf(path: string, packageDirectory: string): Promise<string> {
  const bases = [join(packageDirectory, 'node'), dirname(packageDirectory), packageDirectory];
  for (const base of bases) {
    const candidate = resolve(base, path);
    if (await isFile(candidate)) return candidate;
  }
  throw new Error(`the node bundle ${path} is missing: run \`npx sls package\``);
}

async function findPackaged(packageDirectory: string, sha256: string | undefined): Promise<NodeBundle> {
  const text = await readFile(join(packageDirectory, 'node', 'bundle.json'), 'utf8').catch(
    (cause: unknown) => {
      throw new Error('there is no node bundle: run `npx sls package`', { cause });
    },
  );
  const current = bundleSchema.parse(JSON.parse(text));
  const wanted = sha256 ?? current.sha256;
  const path = wanted === current.sha256 ? current.path : `${wanted}.tgz`;
  return { sha256: wanted, path: await archiveOf(path, packageDirectory) };
}

/**
 * The packaged node with this sha, or the current one. Those that were used are kept, as they are in the bucket of
 * a deployment: instances launched from an earlier package still start after the next one is made.
 * @throws Error when it was never packaged, or neither kept nor in the package directory any more.
 */
export async function findNodeBundle(
  directories: { readonly packages: string; readonly kept: string },
  sha256: string | undefined,
): Promise<NodeBundle> {
  const keptPath = (sha: string): string => join(directories.kept, `${sha}.tgz`);
  if (sha256 !== undefined && (await isFile(keptPath(sha256)))) return { sha256, path: keptPath(sha256) };
  const found = await findPackaged(directories.packages, sha256);
  const path = keptPath(found.sha256);
  await mkdir(directories.kept, { recursive: true });
  // Two instances may get here at once: each writes its own file, and either may win.
  const fresh = `${path}.${randomUUID()}`;
  await copyFile(found.path, fresh);
  await rename(fresh, path);
  return { sha256: found.sha256, path };
}
