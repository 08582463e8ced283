import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { packageService } from '../package-service.ts';
import { type Ended, PROJECT, run } from '../programs.ts';
import { filesOf, renderUserData } from '../user-data-files.ts';

/**
 * The boot script as an instance runs it, in a folder that stands for its root, with the programs that would change
 * a machine replaced by ones that write down how they were called and answer as told.
 */
const SEPARATOR = '\u001f';
const STUB = `#!/bin/bash
printf '%s${SEPARATOR}' "$(basename "$0")" "$@" >>"$ROOT/calls"
echo >>"$ROOT/calls"
[ -x "$ROOT/answers/$(basename "$0")" ] && exec "$ROOT/answers/$(basename "$0")" "$@"
exit 0
`;
const STUBBED = [
  'dnf',
  'useradd',
  'lsblk',
  'blkid',
  'wipefs',
  'mkfs.xfs',
  'mountpoint',
  'mount',
  'chown',
].concat(['aws', 'curl', 'systemctl', 'sleep']);
const AGENT = 'opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl';

let script: string;
let bundle: string;
beforeAll(async () => {
  const userData = renderUserData(await packageService());
  script = filesOf(userData).get('/opt/chordfs/boot.sh') ?? '';
  const [sha256 = ''] = /[0-9a-f]{64}/.exec(userData) ?? [];
  bundle = join(PROJECT, '.serverless', 'node', `${sha256}.tgz`);
});

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'chordfs-boot-'));
  for (const folder of ['bin', 'answers', 'dev', 'etc', 'usr/bin', 'usr/sbin', 'opt/chordfs', 'var/log']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await mkdir(join(root, AGENT, '..'), { recursive: true });
  for (const name of STUBBED) await executable(`bin/${name}`, STUB);
  await writeFile(join(root, 'etc/fstab'), '');
  await writeFile(join(root, 'dev/nvme1n1'), '');
  await copyFile(bundle, join(root, 'bucket'));
  await answer('curl', 'case "$*" in *instance-id*) echo i-0123456789abcdef0 ;; *) echo token ;; esac');
  await answer('aws', `[ "$1" != s3 ] || cp "$ROOT/bucket" "\${@: -1}"`);
  // Nothing is labelled and nothing is mounted yet.
  await answer('blkid', 'exit 2');
  await answer('mountpoint', 'exit 1');
  await answer('dnf', `for f in usr/bin/node-24 ${AGENT}; do cp "$ROOT/bin/mount" "$ROOT/$f"; done`);
  await writeFile(join(root, 'dev/sdf'), '');
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function executable(path: string, content: string): Promise<void> {
  await writeFile(join(root, path), content);
  await chmod(join(root, path), 0o755);
}
const answer = (name: string, body: string): Promise<void> =>
  executable(`answers/${name}`, `#!/bin/bash\n${body}\n`);

async function boot(...parameters: readonly string[]): Promise<Ended> {
  await executable('boot.sh', script.replaceAll(/(?<![\w.])\/(?=(?:dev|usr|opt|var|etc)\/)/g, `${root}/`));
  return await run('bash', [join(root, 'boot.sh'), ...parameters], {
    env: { PATH: `${join(root, 'bin')}:/usr/bin:/bin`, ROOT: root },
  });
}

async function calls(): Promise<string[][]> {
  const text = await readFile(join(root, 'calls'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(SEPARATOR).slice(0, -1));
}
const called = async (...words: readonly string[]): Promise<boolean> =>
  (await calls()).some((call) => words.every((word) => call.some((part) => part.includes(word))));

/** What the scaling log is told. */
async function reasons(): Promise<string[]> {
  const events = (await calls()).filter(([, , command]) => command === 'put-events');
  return events.map((call) => {
    const [entry] = JSON.parse(call[call.indexOf('--entries') + 1] ?? '[]') as Record<string, string>[];
    expect(entry).toMatchObject({
      Source: 'chordfs.node',
      DetailType: 'Join Failed',
      EventBusName: 'chordfs-production',
    });
    const detail = JSON.parse(entry?.['Detail'] ?? '{}') as Record<string, string>;
    expect(detail).toMatchObject({ stage: 'dev', instanceId: 'i-0123456789abcdef0' });
    return detail['cause'] ?? '';
  });
}

async function expectGivenUp(ended: Ended, reason: string): Promise<void> {
  expect(await reasons()).toEqual([`boot failed: ${reason}`]);
  expect(await called('complete-lifecycle-action', 'i-0123456789abcdef0')).toBe(true);
  expect((await calls()).filter((call) => call.includes('ABANDON'))).toHaveLength(1);
  expect(ended.code).toBe(1);
  expect(await called('systemctl', 'enable')).toBe(false);
}

describe('a new instance', () => {
  test('installs, formats its blank volume, verifies the bundle and starts the node', async () => {
    const { code, stderr } = await boot();

    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(await called('dnf', 'nodejs24', 'amazon-cloudwatch-agent', 'logrotate')).toBe(true);
    expect(await called('systemctl', 'restart', 'logrotate.timer')).toBe(true);
    expect(await called('mkfs.xfs', 'dev/sdf')).toBe(true);
    expect(await readFile(join(root, 'etc/fstab'), 'utf8')).toContain('LABEL=chordfs');
    expect(await readFile(join(root, 'opt/chordfs/node/main.mjs'), 'utf8')).toContain('chordfs');
    expect((await calls()).at(-1)).toEqual(['systemctl', 'enable', '--now', 'chordfs.service']);
    expect(await reasons()).toEqual([]);
  });

  test('from an image without log rotation starts all the same', async () => {
    await answer('systemctl', 'case "$*" in *logrotate*) exit 5 ;; esac');

    const { code } = await boot();

    expect(code).toBe(0);
    expect((await calls()).at(-1)).toEqual(['systemctl', 'enable', '--now', 'chordfs.service']);
  });

  test('from an image with Node.js and the agent asks no package repository', async () => {
    for (const path of ['usr/bin/node-24', AGENT]) await executable(path, STUB);

    expect((await boot()).code).toBe(0);
    expect(await called('dnf')).toBe(false);
    expect(await called('fetch-config')).toBe(true);
  });

  test('finds its volume on an image without device links: the EBS disk that is neither parted nor mounted', async () => {
    await rm(join(root, 'dev/sdf'));
    const disks = ['nvme0n1', 'nvme1n1', 'nvme2n1'].map((name) => join(root, 'dev', name));
    await answer(
      'lsblk',
      `case "$*" in
         *MODEL*) echo '${disks[2]} Amazon EC2 NVMe Instance Storage'; echo '${disks[0]} Amazon Elastic Block Store'; echo '${disks[1]} Amazon Elastic Block Store' ;;
         *${disks[0]}) printf 'nvme0n1\\nnvme0n1p1 /\\n' ;;
         *) echo "$(basename "\${@: -1}")" ;;
       esac`,
    );

    expect((await boot()).code).toBe(0);
    const made = (await calls()).filter(([name]) => name === 'mkfs.xfs');
    expect(made.map((call) => basename(call.at(-1) ?? ''))).toEqual(['nvme1n1']);
  });

  test('hands logins and certificates from Parameter Store to the service, and to nobody else', async () => {
    await answer(
      'aws',
      `case "$*" in
         *names\\ /chordfs/dev/basic-auth\\ *) printf '%s\\n' 'me:a"b$c\`d\\e f' ;;
         *server-certificate*) printf 'PEM line 1\\nPEM line 2\\n' ;;
         *get-parameters*) echo None ;;
         s3*) cp "$ROOT/bucket" "\${@: -1}" ;;
       esac`,
    );

    expect((await boot()).code).toBe(0);

    const path = join(root, 'etc/chordfs/secrets.env');
    // systemd reads double quotes as a shell does.
    const read = await run('bash', [
      '-c',
      `. ${path}; printf '%s|%s' "$CHORDFS_BASIC_AUTH" "\${!CHORDFS_*}"`,
    ]);
    expect(read.stdout).toBe('me:a"b$c`d\\e f|CHORDFS_BASIC_AUTH CHORDFS_SERVER_CERTIFICATE');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const pem = join(root, 'etc/chordfs/server-certificate.pem');
    expect(await readFile(pem, 'utf8')).toBe('PEM line 1\nPEM line 2\n');
    expect((await stat(pem)).mode & 0o007).toBe(0);
    const told = (await calls()).flat().join(' ');
    expect(told).not.toContain('a"b');
  });

  test('gives up when it cannot learn whether there are logins, rather than serve everybody', async () => {
    await answer(
      'aws',
      `[ "$2" != get-parameters ] && [ "$1" != s3 ] || { [ "$1" = s3 ] && cp "$ROOT/bucket" "\${@: -1}"; }`,
    );

    await expectGivenUp(await boot(), 'fetch logins and certificates');
  });

  test('does not format a volume that is ours already', async () => {
    await answer('blkid', 'echo /dev/nvme1n1');

    expect((await boot()).code).toBe(0);
    expect(await called('mkfs.xfs')).toBe(false);
  });
});

describe('an instance that cannot start its node gives itself up at once, with the reason', () => {
  test('when packages cannot be had', async () => {
    await answer('dnf', 'exit 1');
    await expectGivenUp(await boot(), 'install packages');
  });

  test('when the agent does not start', async () => {
    await executable(AGENT, '#!/bin/bash\nexit 1\n');
    await executable('usr/bin/node-24', STUB);
    await expectGivenUp(await boot(), 'start the CloudWatch agent');
  });

  test('when the volume holds something else', async () => {
    await answer('wipefs', 'echo "0x438 ext4"');
    await expectGivenUp(await boot(), `format ${join(root, 'dev/sdf')}: it is not blank`);
    expect(await called('mkfs.xfs')).toBe(false);
  });

  test('when there is no volume', async () => {
    await rm(join(root, 'dev/sdf'));
    await expectGivenUp(await boot(), 'find the data volume');
  });

  test('when the volume cannot be mounted', async () => {
    await answer('mount', 'exit 32');
    await expectGivenUp(await boot(), 'mount the data volume');
  });

  test('when the bundle is not there', async () => {
    await answer('aws', '[ "$1" != s3 ]');
    await expectGivenUp(await boot(), 'fetch the bundle');
  });

  test('when the bundle is not the one it was deployed with', async () => {
    // A whole archive, so that only its hash tells.
    await run('tar', ['-czf', join(root, 'bucket'), '-C', root, 'etc']);
    await expectGivenUp(await boot(), 'verify the bundle');
  });

  test('when its node does not stay up', async () => {
    await expectGivenUp(await boot('the node does not stay up'), 'the node does not stay up');
  });

  test('even when the scaling log does not take the reason', async () => {
    await answer('dnf', 'exit 1');
    await answer('aws', '[ "$1" != events ]');
    expect((await boot()).code).toBe(1);
    expect(await called('complete-lifecycle-action', 'ABANDON')).toBe(true);
  });
});
