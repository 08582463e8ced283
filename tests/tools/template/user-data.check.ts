import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageService } from '../package-service.ts';
import { pythonProgram, run } from '../programs.ts';
import { filesOf, renderUserData } from '../user-data-files.ts';

/** EC2's limit, before Base64. */
const USER_DATA_LIMIT_BYTES = 16 * 1024;
/** systemd's own measure, from 0 (locked away) to 10 (everything allowed). */
const EXPOSURE_LIMIT = 3;

let folder: string;
let userData: string;
let files: ReadonlyMap<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chordfs-user-data-'));
  userData = renderUserData(await packageService());
  files = filesOf(userData);
  // The instance's root folder, as far as its units look at it.
  for (const [path, content] of files) {
    await mkdir(join(folder, dirname(path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  // The units that every system has, which ours refer to.
  const units = 'lib/systemd/system';
  await cp(join('/', units), join(folder, units), { recursive: true, verbatimSymlinks: true });
  await mkdir(join(folder, 'usr/bin'), { recursive: true });
  for (const program of ['usr/bin/node-24', 'opt/chordfs/boot.sh']) {
    await writeFile(join(folder, program), '', { flag: 'a' });
    await chmod(join(folder, program), 0o755);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('case 72: is small enough for EC2', () => {
  expect(Buffer.byteLength(userData)).toBeLessThan(USER_DATA_LIMIT_BYTES);
});

test("case 72: is valid by cloud-init's own schema", async () => {
  const path = join(folder, 'user-data.yaml');
  await writeFile(path, userData);

  const { code, stdout, stderr } = await run('cloud-init', ['schema', '--config-file', path]);

  expect(stdout + stderr).toContain('Valid');
  expect(code).toBe(0);
});

test('case 72: shellcheck has nothing to say about the boot script, style included', async () => {
  const { stdout, stderr } = await run(pythonProgram('shellcheck'), [
    ...['--shell', 'bash', '--severity', 'style'],
    join(folder, 'opt/chordfs/boot.sh'),
  ]);

  expect(stdout + stderr).toBe('');
});

describe('the unit', () => {
  const unit = (): string => join(folder, 'etc/systemd/system/chordfs.service');

  test('passes systemd-analyze verify', async () => {
    const { code, stderr } = await run('systemd-analyze', ['verify', `--root=${folder}`, 'chordfs.service'], {
      env: { ...process.env, SYSTEMD_LOG_LEVEL: 'warning' },
    });

    // The programs of the system's own units are not in this folder; everything about ours counts.
    expect(stderr.split('\n').filter((line) => line.includes('chordfs'))).toEqual([]);
    expect(code).toBe(0);
  });

  test(`is exposed less than ${EXPOSURE_LIMIT} of 10`, async () => {
    const { code, stdout } = await run('systemd-analyze', [
      ...['security', '--offline=true', '--no-pager', `--threshold=${EXPOSURE_LIMIT * 10}`],
      unit(),
    ]);

    expect(stdout).toMatch(/Overall exposure level/);
    expect(code).toBe(0);
  });
});
