import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { AutoScalingClient, UpdateAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { expect, test, vi } from 'vitest';
import { timing } from '../../domain/timing.ts';
import { faultsOf, upload } from '../end-to-end/node-client.ts';
import { contentOf, type SampleFile } from '../end-to-end/sample-files.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, PATIENCE_MS } from './case-cloud.ts';

/** As fast as it goes without shortening the longest drain below what a busy machine needs. */
const TIME_SCALE = 30;
const DRAIN_MS = timing(TIME_SCALE).drainLongestMs;
vi.setConfig({ testTimeout: DRAIN_MS + 2 * PATIENCE_MS, hookTimeout: PATIENCE_MS });

const FILE_BYTES = 2 ** 20;

/** Uploads until a node has no room left: what one of four would hand over then fits nowhere. */
async function fill(cloud: CaseCloud): Promise<readonly SampleFile[]> {
  const files: SampleFile[] = [];
  const ips = await cloud.test.publicIps();
  for (let i = 0; ; i++) {
    const file = { name: `full ${i}`, sizeBytes: FILE_BYTES, seed: 35_000 + i };
    const status = await upload(ips[i % ips.length] ?? '', file.name, contentOf(file));
    if (status === 507) return files;
    expect(status).toBe(204);
    files.push(file);
  }
}

/** A person makes the group smaller than its files allow. */
async function shrinkTo(cloud: CaseCloud, count: number): Promise<string> {
  const { endpoint, region, autoScalingGroupName: AutoScalingGroupName } = cloud.cloud;
  const client = new AutoScalingClient({
    ...{ endpoint, region },
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  await client.send(
    new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, MaxSize: count, DesiredCapacity: count }),
  );
  client.destroy();
  return await until(
    'somebody drains',
    async () => (await cloud.members()).find(({ state }) => state === 'LEAVING')?.instanceId,
    PATIENCE_MS,
  );
}

// Both wait for a drain to overrun, which takes two minutes: they do so at the same time.
test.concurrent.each([
  {
    what: 'ended, as it is by default',
    parameters: { RetainUndrained: 'false' },
    firstHost: 10,
    state: undefined,
  },
  {
    what: 'kept with its disk until a person ends it',
    parameters: { RetainUndrained: 'true' },
    firstHost: 100,
    state: 'Terminating:Retained',
  },
])(
  'case 35: a member whose drain overruns is told lost, and its instance is $what',
  async ({ parameters, firstHost, state }) => {
    const cloud = await CaseCloud.start({
      ...{ desired: 4, max: 4, volumeSizeBytes: 48 * 2 ** 20, timeScale: TIME_SCALE },
      ...{ parameters, firstHost },
    });
    try {
      const files = await fill(cloud);
      const leaver = await shrinkTo(cloud, 3);
      await expectLost(cloud, leaver);
      if (state !== undefined) await expectKept(cloud, leaver, state);
      await until('it is gone', () => !cloud.ids().includes(leaver), PATIENCE_MS);
      // What it alone had handed over to nobody has two more copies.
      expect(await faultsOf(await cloud.test.publicIps(), files)).toEqual([]);
    } finally {
      await cloud.stop();
    }
  },
);

async function expectLost(cloud: CaseCloud, leaver: string): Promise<void> {
  const lost = await until(
    'the log calls it lost',
    () => cloud.log('Member Lost', leaver)[0],
    DRAIN_MS + PATIENCE_MS,
  );
  await until('its action is over', () => cloud.lifecycleState(leaver) !== 'Terminating:Wait', PATIENCE_MS);
  expect(lost.detail['cause']).toMatch(/^drain not finished in time/);
}

/** Until a person ends it. */
async function expectKept(cloud: CaseCloud, leaver: string, state: string): Promise<void> {
  const folder = cloud.cloud.compute.instances().find(({ instanceId }) => instanceId === leaver)?.directory;
  const minute = 60_000 / TIME_SCALE;
  const endMs = performance.now() + 3 * minute;
  await until('three minutes have passed', () => performance.now() > endMs, PATIENCE_MS);

  expect(cloud.lifecycleState(leaver)).toBe(state);
  await access(join(folder ?? '', 'data'));
  expect((await cloud.member(leaver))?.state).toBe('DEAD');
  await cloud.terminateInGroup(leaver);
}
