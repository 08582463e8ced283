import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findNodeBundle } from '../../local/node-bundle.ts';

const FIRST = 'a'.repeat(64);
const SECOND = 'b'.repeat(64);
let directories: { packages: string; kept: string };

beforeEach(async () => {
  const root = await mkdtemp(join(tmpdir(), 'chordfs-bundle-'));
  directories = { packages: join(root, '.serverless'), kept: join(root, 'kept') };
});
afterEach(() => rm(join(directories.packages, '..'), { recursive: true }));

/** What the packaging plugin leaves, instead of what was there. */
async function packageNode(sha256: string): Promise<void> {
  const folder = join(directories.packages, 'node');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${sha256}.tgz`), sha256);
  await writeFile(
    join(folder, 'bundle.json'),
    JSON.stringify({ sha256, path: join(folder, `${sha256}.tgz`) }),
  );
}

test('an instance of an earlier package still finds its bundle after the next one is made', async () => {
  await packageNode(FIRST);
  await Promise.all([findNodeBundle(directories, FIRST), findNodeBundle(directories, undefined)]);
  await packageNode(SECOND);

  const first = await findNodeBundle(directories, FIRST);
  const current = await findNodeBundle(directories, undefined);

  expect(await readFile(first.path, 'utf8')).toBe(FIRST);
  expect(await readFile(current.path, 'utf8')).toBe(SECOND);
});

test('a bundle that was never packaged is missed by name', async () => {
  await expect(findNodeBundle(directories, undefined)).rejects.toThrow(
    'there is no node bundle: run `npx sls package`',
  );
  await packageNode(FIRST);
  await expect(findNodeBundle(directories, SECOND)).rejects.toThrow(`${SECOND}.tgz is missing`);
});
