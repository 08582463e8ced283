import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { withLockFile } from './lock-file.ts';

/** Everything that decides what `sls package` produces. A folder stands for all files below it. */
const INPUTS = [
  'serverless.yml',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'resources',
  'functions',
  'node',
  'domain',
  'plugins',
];
const OUTPUTS = ['.serverless/cloudformation-template-update-stack.json', '.serverless/node/bundle.json'];
/** Written last, so it names the inputs of a package that is whole. */
const STAMP = '.serverless/inputs.sha256';
/** Outside the output folder, which the packager empties. */
const LOCK = '.build/packaging.lock';
/** How much of a failed run is shown: its end, where the reason stands. */
const MAX_SHOWN_LINES = 30;

export interface PackagingOptions {
  readonly projectDirectory: string;
  readonly signal: AbortSignal;
  /** Called once, only when there is something to wait for. */
  readonly onStart: () => void;
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (entries === undefined) return [path];
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** One hash over names and contents of all inputs, and over what picks the native parts of the bundle. */
async function hashInputs(projectDirectory: string): Promise<string> {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const input of INPUTS) {
    const path = join(projectDirectory, input);
    if (!existsSync(path)) continue;
    for (const file of (await filesBelow(path)).sort()) {
      const content = await readFile(file);
      hash.update(`\n${file.slice(projectDirectory.length)} ${content.length}\n`).update(content);
    }
  }
  return hash.digest('hex');
}

async function isUpToDate(projectDirectory: string, inputs: string): Promise<boolean> {
  if (!OUTPUTS.every((output) => existsSync(join(projectDirectory, output)))) return false;
  const stamp = await readFile(join(projectDirectory, STAMP), 'utf8').catch(() => '');
  return stamp === inputs;
}

/** Runs the local `sls package`. Rejects with the end of its output when it fails. */
async function runServerless({ projectDirectory, signal }: PackagingOptions): Promise<void> {
  const packageJson = createRequire(join(projectDirectory, 'package.json')).resolve(
    'serverless/package.json',
  );
  const child = spawn(process.execPath, [join(packageJson, '../bin/serverless.js'), 'package'], {
    cwd: projectDirectory,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      lines.push(...text.split('\n'));
      lines.splice(0, lines.length - 10 * MAX_SHOWN_LINES);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) {
    const shown = lines.filter((line) => line.trim() !== '').slice(-MAX_SHOWN_LINES);
    throw new Error(`Packaging the service failed (sls package, exit code ${code}):\n${shown.join('\n')}`);
  }
}

async function packageAndStamp(options: PackagingOptions): Promise<void> {
  const { projectDirectory, signal, onStart } = options;
  const inputs = await hashInputs(projectDirectory);
  // Another start may have packaged the same sources while this one waited for its turn.
  if (await isUpToDate(projectDirectory, inputs)) return;
  onStart();
  const stamp = join(projectDirectory, STAMP);
  await rm(stamp, { force: true });
  await runServerless(options);
  signal.throwIfAborted();
  const missing = OUTPUTS.filter((output) => !existsSync(join(projectDirectory, output)));
  if (missing.length > 0) throw new Error(`sls package ended well but made no ${missing.join(' and no ')}.`);
  await writeFile(stamp, inputs);
}

/**
 * Makes sure that `.serverless` holds the package of the sources as they are now. Quick when it does already: told
 * by content, so a fresh clone with old timestamps or a branch switched there and back are no reason to wait.
 * Starts at the same time package one after another.
 */
export async function ensurePackaged(options: PackagingOptions): Promise<void> {
  const { projectDirectory, signal } = options;
  if (await isUpToDate(projectDirectory, await hashInputs(projectDirectory))) return;
  await withLockFile(join(projectDirectory, LOCK), signal, () => packageAndStamp(options));
}
