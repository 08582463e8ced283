/** The Python clients as a student runs them, against real nodes. Needs python3, so it is a script of its own. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { download, ownerOf } from '../end-to-end/node-client.ts';
import { PROJECT, PUBLIC_PREFIX, startTestCloud, type TestCloud } from '../end-to-end/test-cloud.ts';

const run = promisify(execFile);
let testCloud: TestCloud;
let ips: readonly string[];
let first: string;
let second: string;
let folder: string;

/** Runs a client as its user does, in a folder of its own. */
function client(script: string, ...argv: string[]): Promise<{ stdout: string }> {
  return run('python3', ['-B', join(PROJECT, script), ...argv], { cwd: folder, timeout: 30_000 });
}

beforeAll(async () => {
  testCloud = await startTestCloud({ desired: 2 });
  ips = await testCloud.publicIps();
  [first = '', second = ''] = ips;
  folder = await mkdtemp(join(tmpdir(), 'chordfs-clients-'));
});
afterAll(async () => {
  await testCloud?.cloud.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

describe('given a file uploaded with upload.py', () => {
  beforeAll(async () => {
    await writeFile(join(folder, 'a.txt'), 'hello from a.txt\n');
    const { stdout } = await client('clients/upload.py', 'a.txt', first);
    const owner = await ownerOf(first, 607204990);
    expect(stdout).toBe(`Hash of a.txt is 607204990\nUploading file to http://${owner}\n`);
    expect(owner).toContain(`${PUBLIC_PREFIX}.`);
    await rm(join(folder, 'a.txt'));
  });

  test('download.py gets the same bytes through every node', async () => {
    for (const ip of ips) {
      const { stdout } = await client('clients/download.py', 'a.txt', ip);
      expect(stdout).toMatch(/^Hash of a\.txt is 607204990\nDownloading file from http:\/\/[\d.]+\n$/);
      expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('hello from a.txt\n');
      await rm(join(folder, 'a.txt'));
    }
  });

  test('test_download.py gets it from any node without a lookup', async () => {
    for (const ip of ips) {
      await client('clients/test_download.py', 'a.txt', ip);
      expect(await readFile(join(folder, 'a.txt'), 'utf8')).toBe('hello from a.txt\n');
      await rm(join(folder, 'a.txt'));
    }
  });

  test("download.py refuses to take a missing file's error for the file", async () => {
    await expect(client('clients/download.py', 'absent.txt', first)).rejects.toMatchObject({ code: 1 });
    await expect(readFile(join(folder, 'absent.txt'))).rejects.toThrow('ENOENT');
  });
});

describe("given the course's own client, which calls create before every lookup", () => {
  test('it uploads and downloads unchanged', async () => {
    await writeFile(join(folder, 'course.txt'), 'from the course');
    await client('tests/fixtures/course_client.py', 'upload', 'course.txt', second);
    await client('tests/fixtures/course_client.py', 'download', 'course.txt', first);
    expect(await readFile(join(folder, 'course.txt'), 'utf8')).toBe('from the course');
    expect((await download(second, 'course.txt')).body.toString()).toBe('from the course');
  });
});
