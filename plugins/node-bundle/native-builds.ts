import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { extract } from 'tar';

/** EC2's names, which are also those of the machine images. */
export type Architecture = 'arm64' | 'x86_64';

/**
 * Native builds for the instances, whatever machine deploys. npm installs such packages only where they fit, so on
 * any other machine they are fetched once, by the name, version and checksum in package-lock.json.
 */
const INSTANCE_BUILDS: Readonly<Record<Architecture, readonly string[]>> = {
  arm64: ['@lmdb/lmdb-linux-arm64'],
  x86_64: ['@lmdb/lmdb-linux-x64'],
};
const FETCH_LONGEST_MS = 60_000;

export interface NativeBuild {
  readonly name: string;
  /** Absolute path of the unpacked package. */
  readonly folder: string;
}

interface Locked {
  readonly version: string;
  readonly integrity: string;
}

/** Undefined in a folder without a lock file, where nothing can have been fetched either. */
async function locked(projectDirectory: string, name: string): Promise<Locked | undefined> {
  const path = join(projectDirectory, 'package-lock.json');
  if (!existsSync(path)) return undefined;
  const { packages } = JSON.parse(await readFile(path, 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  return packages[`node_modules/${name}`];
}

function fetchedFolder(projectDirectory: string, name: string, version: string): string {
  return join(projectDirectory, '.build', 'native', `${name.replace('/', '-')}-${version}`);
}

/** The instances' builds that are here: installed, because this machine is of their kind, or fetched earlier. */
export async function presentBuilds(
  projectDirectory: string,
  architecture: Architecture,
): Promise<readonly NativeBuild[]> {
  const builds: NativeBuild[] = [];
  for (const name of INSTANCE_BUILDS[architecture]) {
    const lock = await locked(projectDirectory, name);
    const folders = [
      join(projectDirectory, 'node_modules', name),
      ...(lock === undefined ? [] : [fetchedFolder(projectDirectory, name, lock.version)]),
    ];
    const folder = folders.find((candidate) => existsSync(candidate));
    if (folder !== undefined) builds.push({ name, folder });
  }
  return builds;
}

export const isComplete = (builds: readonly NativeBuild[], architecture: Architecture): boolean =>
  builds.length === INSTANCE_BUILDS[architecture].length;

/** Fetches what is missing. @throws Error when npm cannot get it, or it is not what the lock file names. */
export async function fetchMissingBuilds(
  projectDirectory: string,
  architecture: Architecture,
): Promise<void> {
  const present = new Set((await presentBuilds(projectDirectory, architecture)).map(({ name }) => name));
  for (const name of INSTANCE_BUILDS[architecture])
    if (!present.has(name)) await fetchBuild(projectDirectory, name);
}

async function fetchBuild(projectDirectory: string, name: string): Promise<void> {
  const lock = await locked(projectDirectory, name);
  if (lock === undefined) throw new Error(`package-lock.json, which should name ${name}, does not`);
  const { version, integrity } = lock;
  const target = fetchedFolder(projectDirectory, name, version);
  await mkdir(join(target, '..'), { recursive: true });
  const staging = await mkdtemp(`${target}.`);
  try {
    await promisify(execFile)(
      'npm',
      ['pack', `${name}@${version}`, '--pack-destination', staging, '--prefer-offline'],
      { cwd: projectDirectory, timeout: FETCH_LONGEST_MS },
    );
    const [file = ''] = await readdir(staging);
    const archive = join(staging, file);
    const actual = `sha512-${createHash('sha512')
      .update(await readFile(archive))
      .digest('base64')}`;
    if (actual !== integrity) throw new Error(`its checksum is ${actual}, not ${integrity}`);
    const unpacked = join(staging, 'package');
    await mkdir(unpacked);
    await extract({ file: archive, cwd: unpacked, strip: 1 });
    await rename(unpacked, target);
  } catch (cause) {
    throw new Error(`${name}@${version}, which the instances need, cannot be fetched`, { cause });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
