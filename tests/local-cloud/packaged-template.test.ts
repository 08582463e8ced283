import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ensurePackaged } from '../../clients/up/packaging.ts';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { type StartOptions, startCloud } from '../../local/up.ts';
import { eventually } from './small-cloud.ts';

/** The template, the functions and the node as `sls package` makes them, run in the local cloud. */
const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const OPTIONS: StartOptions = {
  desired: 2,
  min: 1,
  max: 5,
  volumeSizeBytes: 64 * 2 ** 20,
  threshold: 70,
  timeScale: 20,
  directory: undefined,
  port: 0,
  privatePrefix: '127.21.0',
  publicPrefix: '127.21.1',
};

let cloud: LocalCloud | undefined;
const directories: string[] = [];

beforeAll(() =>
  ensurePackaged({
    projectDirectory: PROJECT,
    signal: AbortSignal.timeout(110_000),
    onStart: () => undefined,
  }),
);
afterEach(async () => {
  await cloud?.stop();
  cloud = undefined;
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

async function start(options: Partial<StartOptions> = {}): Promise<LocalCloud> {
  cloud = await startCloud({ ...OPTIONS, ...options });
  return cloud;
}

async function keptDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'chordfs-kept-'));
  directories.push(directory);
  return directory;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function pids({ compute }: LocalCloud): number[] {
  return compute.instances().flatMap(({ pid }) => pid ?? []);
}

describe('the packaged template', () => {
  test('deploys, launches instances through its hooks and hands each to its Lambda', async () => {
    const { compute, services, tableName, stack } = await start();

    expect(stack.resources.map(({ type }) => type)).toContain('AWS::AutoScaling::AutoScalingGroup');
    await eventually('both instances have a member row with the address they have', async () => {
      const rows = await services.dynamoDb.items(tableName);
      return compute
        .instances()
        .every(({ instanceId, privateIp }) =>
          rows.some((row) => row['sk'] === `NODE#${instanceId}` && row['privateIp'] === privateIp),
        );
    });
    expect(compute.instances()).toHaveLength(2);
  });

  test('logs what happens to its bus, and listeners that come late see it too', async () => {
    const { services, onScalingEvent } = await start();
    const seen: string[] = [];
    await eventually('a first member is assigned', () => {
      seen.length = 0;
      onScalingEvent((event) => seen.push(event['detail-type']))();
      return seen.includes('Member Assigned');
    });
    await eventually('its log group has it too', () =>
      services.logs
        .events('/aws/events/chordfs-dev')
        .some(({ message }) => JSON.parse(message)['detail-type'] === 'Member Assigned'),
    );
  });

  test('runs its reconciler every minute of the cloud', async () => {
    const { services } = await start({ desired: 0, min: 0, timeScale: 60 });
    const runs = (): number =>
      services.logs
        .events('/aws/lambda/chordfs-dev-reconcile')
        .filter(({ message }) => message.startsWith('START')).length;
    await eventually('it has run three times', () => runs() >= 3);
    expect(services.sqs.queues().flatMap(({ messages }) => messages)).toEqual([]);
  });

  test('leaves no process and no folder behind when it stops', async () => {
    const running = await start();
    await eventually('both instances run', () => pids(running).length === 2);
    const started = pids(running);

    await Promise.all([running.stop(), running.stop()]);

    expect(started.filter(isRunning)).toEqual([]);
    await expect(readFile(join(running.directory, 'cloud.json'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fetch(running.endpoint)).rejects.toThrow();
  });

  test('takes up its instances and tables again in the same directory', async () => {
    const directory = await keptDirectory();
    const first = await start({ directory });
    await eventually('there is a ring', async () =>
      (await first.services.dynamoDb.items(first.tableName)).some(({ sk }) => sk === 'META'),
    );
    const before = first.compute.instances().map(({ instanceId, privateIp }) => [instanceId, privateIp]);
    const ringId = async ({ services, tableName }: LocalCloud): Promise<unknown> =>
      (await services.dynamoDb.items(tableName)).find(({ sk }) => sk === 'META')?.['ringId'];
    const ring = await ringId(first);
    await first.stop();

    const second = await start({ directory });

    expect(second.compute.instances().map(({ instanceId, privateIp }) => [instanceId, privateIp])).toEqual(
      before,
    );
    expect(await ringId(second)).toBe(ring);
  });

  test('is not started twice in one directory, nor where there is something else', async () => {
    const directory = await keptDirectory();
    await start({ directory, desired: 0, min: 0 });
    await expect(startCloud({ ...OPTIONS, directory })).rejects.toThrow(/in use by another local cloud/);

    const other = await keptDirectory();
    await writeFile(join(other, 'cloud.json'), '{"something":"else"}');
    await expect(startCloud({ ...OPTIONS, directory: other })).rejects.toThrow(
      /not the state of a local cloud/,
    );
  });

  test.each<[string, Partial<StartOptions>, RegExp]>([
    ['a threshold that is no percentage', { threshold: 99 }, /DiskThresholdPercent: "99" is greater than 95/],
    [
      'a parameter that it does not have',
      { parameters: { Colour: 'red' } },
      /Parameters: \[Colour\] do not exist/,
    ],
    ['no package', { packageDirectory: '/nowhere' }, /cannot read the template/],
  ])('does not start with %s, and says so', async (_, options, message) => {
    await expect(start(options)).rejects.toThrow(message);
  });

  test('that is aborted while it starts leaves nothing running', async () => {
    await expect(startCloud(OPTIONS, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
  });
});
