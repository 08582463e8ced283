import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { extract } from 'tar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildNodeBundle } from '../../plugins/node-bundle/build-node-bundle.ts';

const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chordfs-bundle-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the same sources give the same bytes', async () => {
  const options = { projectDirectory: PROJECT, entry: 'node/main.ts' };

  const first = await buildNodeBundle({ ...options, outputDirectory: join(folder, 'one') });
  const second = await buildNodeBundle({ ...options, outputDirectory: join(folder, 'two') });

  expect(second.sha256).toBe(first.sha256);
  expect(second.sizeBytes).toBeLessThan(20 * 2 ** 20);
}, 120_000);

test('what is in the archive runs on its own, native packages included', async () => {
  const entry = join(folder, 'entry.ts');
  await writeFile(
    entry,
    `import { open } from 'lmdb';
     const database = open({ path: process.argv[2], compression: false });
     await database.put('key', 'value');
     process.stdout.write(String(database.get('key')));
     await database.close();`,
  );
  const bundle = await buildNodeBundle({
    projectDirectory: PROJECT,
    entry,
    outputDirectory: join(folder, 'three'),
  });
  const home = join(folder, 'instance');
  await mkdir(home);
  await extract({ file: bundle.path, cwd: home });

  const { stdout } = await promisify(execFile)(process.execPath, [
    join(home, 'main.mjs'),
    join(folder, 'data'),
  ]);

  expect(stdout).toBe('value');
});
