import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fetchNodeBundle } from '../../local/node-bundle.ts';
import { S3 } from '../../local/s3/s3.ts';

const SHA256 = 'a'.repeat(64);
const WANTED = { bucket: 'deployment', key: `node/${SHA256}.tgz`, sha256: SHA256 };
let directory: string;
let s3: S3;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chordfs-bundle-'));
  s3 = new S3(directory);
});
afterEach(() => rm(directory, { recursive: true }));

test('a bundle is taken from the bucket that the user data names', async () => {
  await s3.putBucket('deployment');
  await s3.put('deployment', WANTED.key, Buffer.from('archive'));

  const { path, sha256 } = await fetchNodeBundle(s3, WANTED);

  expect(sha256).toBe(SHA256);
  expect(await readFile(path, 'utf8')).toBe('archive');
});

test('an instance that boots before its bundle was uploaded does not start', async () => {
  await expect(fetchNodeBundle(s3, WANTED)).rejects.toMatchObject({ code: 'NoSuchBucket' });
  await s3.putBucket('deployment');
  await expect(fetchNodeBundle(s3, WANTED)).rejects.toMatchObject({ code: 'NoSuchKey' });
});
