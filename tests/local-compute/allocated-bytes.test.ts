import { link, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allocatedBytes } from '../../local/instances/disk-metric.ts';

test('a file that the node shows under a second name fills the volume once', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'chordfs-volume-'));
  await mkdir(join(directory, 'chunks'));
  await mkdir(join(directory, 'files'));
  await writeFile(join(directory, 'chunks', 'c'), Buffer.alloc(1024 * 1024, 1));
  const before = await allocatedBytes(directory);

  await link(join(directory, 'chunks', 'c'), join(directory, 'files', 'a.txt'));
  const after = await allocatedBytes(directory);
  await rm(directory, { recursive: true });

  expect(before).toBeGreaterThanOrEqual(1024 * 1024);
  expect(after).toBe(before);
});
