import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AddressPool, checkAddresses } from '../../local/instances/addresses.ts';
import { Bundles } from '../../local/instances/bundles.ts';
import { allocatedBytes } from '../../local/instances/disk-metric.ts';
import { SupervisedProcess } from '../../local/instances/supervised-process.ts';
import { parseUserData } from '../../local/instances/user-data.ts';
import { until } from './compute-fixture.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chordfs-instances-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function bundleWith(main: string): Promise<string> {
  const bundleDirectory = join(directory, 'bundle');
  await mkdir(bundleDirectory, { recursive: true });
  await writeFile(join(bundleDirectory, 'main.mjs'), main);
  return bundleDirectory;
}

async function supervised(main: string) {
  const ends: string[] = [];
  const restarts: (number | null)[] = [];
  const finishes: number[] = [];
  const child = await SupervisedProcess.start({
    bundleDirectory: await bundleWith(main),
    directory,
    environment: { DIR: directory },
    ended: (how) => ends.push(how),
    restarting: (code) => restarts.push(code),
    finished: () => finishes.push(performance.now()),
  });
  return { child, ends, restarts, finishes };
}

const READY = `import { writeFileSync } from 'node:fs'; setInterval(() => {}, 1000);
  const ready = () => writeFileSync(process.env.DIR + '/ready', '');`;
const whenReady = () =>
  until('the process is ready', async () => (await readdir(directory)).includes('ready'));

describe('a node process', () => {
  test('that exits is started again', async () => {
    const { child, ends, restarts } = await supervised(
      `${READY} process.on('SIGTERM', () => process.exit(3)); ready();`,
    );
    await whenReady();
    const first = child.pid ?? 0;

    process.kill(first, 'SIGTERM');
    await until('another process', () => child.pid !== undefined && child.pid !== first);

    expect(restarts).toEqual([3]);
    expect(ends).toEqual([]);
    await child.stop();
    expect(ends).toHaveLength(1);
  });

  test('that has finished is not started again, and its machine goes on until it is ended', async () => {
    const { child, ends, restarts, finishes } = await supervised(
      `${READY} process.on('SIGTERM', () => process.exit(0)); ready();`,
    );
    await whenReady();

    process.kill(child.pid ?? 0, 'SIGTERM');
    await until('it has finished', () => finishes.length > 0);

    expect({ pid: child.pid, ends, restarts }).toEqual({ pid: undefined, ends: [], restarts: [] });
    await child.stop();
    expect(ends).toEqual(['stopped']);
  });

  test('that is killed stays dead', async () => {
    const { child, ends, restarts } = await supervised(`${READY} ready();`);
    await whenReady();

    child.signal('SIGKILL');
    await until('the end is told', () => ends.length > 0);

    expect(ends).toEqual(['signal SIGKILL']);
    expect(restarts).toEqual([]);
  });

  test('that ignores SIGTERM is killed after the deadline, and a frozen one too', async () => {
    const { child, ends } = await supervised(`${READY} process.on('SIGTERM', () => {}); ready();`);
    await whenReady();
    child.signal('SIGSTOP');

    await child.stop();

    expect(ends).toEqual(['signal SIGKILL']);
  });

  test.each(['running', 'frozen'])(
    'that is %s does not outlive the cloud when the cloud is killed',
    async (how) => {
      const bundleDirectory = await bundleWith(`${READY} process.on('SIGTERM', () => {}); ready();`);
      const module = new URL('../../local/instances/instance-process.ts', import.meta.url).href;
      const options = { bundleDirectory, directory, environment: { DIR: directory } };
      const script = `
      import { InstanceProcess } from ${JSON.stringify(module)};
      const child = await InstanceProcess.start({ ...${JSON.stringify(options)}, exited: () => {} });
      ${how === 'frozen' ? "child.signal('SIGSTOP');" : ''}
      console.log(child.pid);`;
      const cloud = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = await once(cloud.stdout, 'data');
      const pid = Number(String(line));
      if (how === 'running') await whenReady();
      expect(isAlive(pid)).toBe(true);

      cloud.kill('SIGKILL');

      await until('the node process is gone', () => !isAlive(pid));
    },
  );
});

describe('addresses', () => {
  const pool = new AddressPool({ firstHost: 10, privatePrefix: '127.10.0', publicPrefix: '127.0.0' });

  test('the lowest free number is given, from 1', () => {
    expect(pool.lowestFree(new Set())).toBe(1);
    expect(pool.lowestFree(new Set([1, 3]))).toBe(2);
    expect(pool.addressesOf(1)).toEqual({ privateIp: '127.10.0.11', publicIp: '127.0.0.11' });
    expect(pool.lowestFree(new Set(Array.from({ length: 244 }, (_, i) => i + 1)))).toBeUndefined();
  });

  test('a port that is taken is named, with what to do', async () => {
    const other = createServer().listen(5058, '127.20.1.95');
    await once(other, 'listening');

    const check = checkAddresses({ privateIp: '127.20.0.95', publicIp: '127.20.1.95' });

    await expect(check).rejects.toThrow(/port 5058 on 127\.20\.1\.95 is taken by another program: stop it/);
    await new Promise((resolve) => other.close(resolve));
  });

  test.each([
    ['darwin', 'sudo ifconfig lo0 alias 192.0.2.1 up'],
    ['linux', 'sudo ip addr add 192.0.2.1/8 dev lo'],
  ])('an address that %s does not have is told with the command that adds it', async (platform, command) => {
    const check = checkAddresses(
      { privateIp: '192.0.2.1', publicIp: '192.0.2.1' },
      platform as NodeJS.Platform,
    );

    await expect(check).rejects.toThrow(command);
  });
});

describe('bundles', () => {
  test('an archive with another checksum is refused and leaves nothing behind', async () => {
    const source = await bundleWith('');
    const path = join(directory, 'bundle.tgz');
    await create({ gzip: true, file: path, cwd: source }, ['main.mjs']);
    const bundles = new Bundles(join(directory, 'bundles'));

    await expect(bundles.unpack({ sha256: '0'.repeat(64), path })).rejects.toThrow(
      /has the checksum .*, not 0000/,
    );

    expect(await readdir(directory)).not.toContain('bundles');
  });
});

describe('user data', () => {
  const config = (content: string) =>
    `#cloud-config\nwrite_files:\n  - path: /etc/chordfs/node.env\n    content: ${content}\n`;

  test('yields the environment, with comments and quotes as systemd reads them', () => {
    const { environment } = parseUserData(config('"A=1\\n# no\\n; no\\nB=\\"two words\\"\\nC=a=b\\n"'));

    expect(environment).toEqual({ A: '1', B: 'two words', C: 'a=b' });
  });

  test('names the bundle by the archive it downloads', () => {
    const sha = 'ab'.repeat(32);

    expect(
      parseUserData(`${config('A=1')}runcmd:\n  - aws s3 cp s3://b/node/${sha}.tgz /opt\n`).bundle,
    ).toEqual({ bucket: 'b', key: `node/${sha}.tgz`, sha256: sha });
  });

  test.each([
    ['#!/bin/sh', 'does not start with #cloud-config'],
    ['#cloud-config\nwrite_files: 3\n', 'no cloud-config'],
    ['#cloud-config\n{}', 'writes no /etc/chordfs/node.env'],
    [
      `${config('A=1')}  - path: /opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json\n    content: "{"\n`,
      'not valid JSON',
    ],
  ])('%j is refused with the reason', (text, reason) => {
    expect(() => parseUserData(text)).toThrow(reason);
  });
});

test('the volume is measured by what is allocated, in every folder below', async () => {
  await mkdir(join(directory, 'a', 'b'), { recursive: true });
  await writeFile(join(directory, 'a', 'b', 'file'), Buffer.alloc(100_000, 1));

  const used = await allocatedBytes(directory);

  expect(used).toBeGreaterThanOrEqual(100_000);
  expect(used).toBeLessThan(200_000);
  expect(await allocatedBytes(join(directory, 'absent'))).toBe(0);
});
