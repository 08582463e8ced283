import { cp, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';

/** Left out of the bundle: what is needed to build a package, or to read about it, but not to run it. */
const UNUSED_FOLDERS = new Set(['src', 'dependencies', 'test', 'tests', 'benchmark']);
const UNUSED_FILES = /\.(map|md|d\.ts|d\.cts|gyp)$|^(test|rollup)/;
/** Dependencies that only compile native code, or that are an optional speed-up with native code of its own. */
const UNUSED_PACKAGES = new Set(['node-addon-api', 'msgpackr-extract']);

/** Copies packages with everything they need at run time, flat, as npm has installed them. */
export async function copyPackages(options: {
  readonly projectDirectory: string;
  readonly names: readonly string[];
  readonly target: string;
}): Promise<void> {
  const require = createRequire(join(options.projectDirectory, 'package.json'));
  const done = new Set<string>();
  const queue = [...options.names];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (done.has(name) || UNUSED_PACKAGES.has(name)) continue;
    done.add(name);
    const folder = packageFolder(require, name);
    // An optional dependency for another platform is not there: that is what optional means.
    if (folder === undefined) continue;
    await copyFolder(folder, join(options.target, name));
    const { dependencies = {}, optionalDependencies = {} } = await readManifest(folder);
    queue.push(...Object.keys(dependencies), ...Object.keys(optionalDependencies));
  }
}

/** Copies one package's folder, without what is not needed to run it. */
export async function copyFolder(folder: string, target: string): Promise<void> {
  await cp(folder, target, { recursive: true, filter: (path) => isUsed(folder, path) });
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** Where npm has put it, found without `exports` having to allow it. */
function packageFolder(require: NodeJS.Require, name: string): string | undefined {
  for (const folder of require.resolve.paths(name) ?? []) {
    const manifest = join(folder, name, 'package.json');
    try {
      return dirname(require.resolve(manifest));
    } catch {
      // Not in this node_modules; the next one up may have it.
    }
  }
  return undefined;
}

function isUsed(folder: string, path: string): boolean {
  const inside = relative(folder, path);
  if (inside === '') return true;
  const parts = inside.split(sep);
  const top = parts[0] ?? '';
  // Dot folders are what editors and tools left behind when the package was published.
  const isLeftover = parts.some((part) => part.startsWith('.') || part === 'node_modules');
  return !UNUSED_FOLDERS.has(top) && !isLeftover && !UNUSED_FILES.test(basename(path)) && !isMusl(path);
}

/** Amazon Linux and the local cloud run on glibc; the musl builds would only make every download larger. */
function isMusl(path: string): boolean {
  return path.endsWith('.musl.node');
}
