import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { gzipSync } from 'fflate';
import { archive } from './archive.ts';
import { copyFolder, copyPackages } from './copy-packages.ts';
import { type Architecture, isComplete, presentBuilds } from './native-builds.ts';

/** Packages with native code: copied beside the bundle instead of into it. */
const NATIVE_PACKAGES = ['lmdb'];

export interface NodeBundle {
  /** Lower-case hex SHA-256 of the archive: its name, its key in the bucket, and what an instance verifies. */
  readonly sha256: string;
  /** Absolute path of the .tgz. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Whether it has the native builds that instances need; without them it is good for this machine alone. */
  readonly isForInstances: boolean;
}

/**
 * Builds what an instance runs: `main.mjs` from `entry`, its source map, and the native packages, as one .tgz in
 * `outputDirectory`, with `bundle.json` beside it. Same sources and packages, same bytes: files are sorted, have no
 * times, no owners, and the compressor is the same on every Node version.
 */
export async function buildNodeBundle(options: {
  readonly projectDirectory: string;
  readonly entry: string;
  readonly outputDirectory: string;
  /** Of the instances; default arm64. */
  readonly architecture?: Architecture;
}): Promise<NodeBundle> {
  const { projectDirectory, entry, outputDirectory, architecture = 'arm64' } = options;
  await mkdir(outputDirectory, { recursive: true });
  // Inside the output folder, so that the rename at the end stays on one file system.
  const staging = await mkdtemp(join(outputDirectory, '.staging-'));
  try {
    const tree = join(staging, 'tree');
    await mkdir(tree);
    await bundleSources({ projectDirectory, entry, tree });
    await copyPackages({ projectDirectory, names: NATIVE_PACKAGES, target: join(tree, 'node_modules') });
    const builds = await presentBuilds(projectDirectory, architecture);
    for (const { name, folder } of builds) await copyFolder(folder, join(tree, 'node_modules', name));
    const isForInstances = isComplete(builds, architecture);
    const bytes = gzipSync(await archive(tree), { level: 6, mtime: 0 });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const path = join(outputDirectory, `${sha256}.tgz`);
    await writeFile(join(staging, 'bundle.tgz'), bytes);
    await rename(join(staging, 'bundle.tgz'), path);
    await writeFile(
      join(outputDirectory, 'bundle.json'),
      `${JSON.stringify({ sha256, path, isForInstances })}\n`,
    );
    return { sha256, path, sizeBytes: bytes.length, isForInstances };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function bundleSources(options: {
  readonly projectDirectory: string;
  readonly entry: string;
  readonly tree: string;
}): Promise<void> {
  const { outputFiles } = await build({
    absWorkingDir: options.projectDirectory,
    entryPoints: [options.entry],
    // Nothing is written there: the source map names sources as they lie seen from the project, wherever that is.
    outfile: join(options.projectDirectory, 'main.mjs'),
    write: false,
    preserveSymlinks: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // Every node keeps the text of its bundle in memory. Names stay, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    // One character beyond ASCII would double what the text takes.
    charset: 'ascii',
    legalComments: 'none',
    sourcemap: 'linked',
    // Line numbers are all a stack trace needs; the sources are in the repository.
    sourcesContent: false,
    mainFields: ['module', 'main'],
    external: NATIVE_PACKAGES,
    // CommonJS dependencies inside an ES module still call require() for Node's own modules.
    banner: {
      js: "import { createRequire as chordfsCreateRequire } from 'node:module'; const require = chordfsCreateRequire(import.meta.url);",
    },
    sourceRoot: 'chordfs',
    logLevel: 'warning',
  });
  for (const { path, contents } of outputFiles) await writeFile(join(options.tree, basename(path)), contents);
}
