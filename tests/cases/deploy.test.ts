import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeGroup } from '../../plugins/node-bundle/node-group.ts';
import { faultsOf } from '../end-to-end/node-client.ts';
import type { SampleFile } from '../end-to-end/sample-files.ts';
import { startTestCloud, type TestCloud } from '../end-to-end/test-cloud.ts';
import { until } from '../end-to-end/until.ts';
import {
  autoScalingClient,
  changeFunction,
  deployVariant,
  discardVariant,
  packageVariant,
} from './package-variant.ts';
import { lastRefresh, rollTo, someFiles, uploadAll } from './rolling-update.ts';

/** Updates of a running group by the plugin's own steps; `sls.test.ts` drives them with the framework itself. */
const DEADLINE_MS = 300_000;
let testCloud: TestCloud;

/** What happened in the group, `+` for an instance that went into service and `-` for one that began to leave. */
function moves({ lifecycle }: TestCloud, from: number): string[] {
  return lifecycle.slice(from).flatMap((line) => {
    if (line.endsWith(' InService')) return '+';
    return line.endsWith(' Terminating') ? '-' : [];
  });
}

async function ids(): Promise<string[]> {
  return (await testCloud.cloud.nodes()).map(({ instanceId }) => instanceId);
}

/** Rolls all nodes to a newer bundle; what case 61 promises. */
async function expectRolled(nodeCount: number, files: readonly SampleFile[]): Promise<void> {
  const before = await ids();
  const from = testCloud.lifecycle.length;

  const { status, load } = await rollTo(testCloud, 'newer', { nodeCount, files, deadlineMs: DEADLINE_MS });

  expect(load.faults).toEqual([]);
  expect(status).toBe('Successful');
  expect((await ids()).filter((instanceId) => before.includes(instanceId))).toEqual([]);
  expect(moves(testCloud, from).join('')).toBe('+-'.repeat(nodeCount));
  expect(await faultsOf(await testCloud.publicIps(), load.files)).toEqual([]);
}

describe('given three full nodes', () => {
  const files = someFiles(24, 200_000, 61);
  beforeAll(async () => {
    testCloud = await startTestCloud({ desired: 3, min: 3 });
    await uploadAll(testCloud, files);
  });
  afterAll(() => testCloud?.cloud.stop());

  test('case 62: a bad bundle is rolled back, and the ring does not notice', async () => {
    const before = await testCloud.cloud.nodes();

    const { status, load } = await rollTo(testCloud, 'bad', { nodeCount: 3, files, deadlineMs: DEADLINE_MS });

    expect(load.faults).toEqual([]);
    expect(status).toBe('RollbackSuccessful');
    expect(await testCloud.cloud.nodes()).toEqual(before);
    expect(await faultsOf(await testCloud.publicIps(), load.files)).toEqual([]);
    expect(testCloud.events.filter(({ 'detail-type': type }) => type === 'Member Leaving')).toEqual([]);
  }, 700_000);

  test('case 61: a new bundle replaces them one by one, each successor first, without a lost file or a failed request', async () => {
    await expectRolled(3, files);
  }, 700_000);
});

describe('given a single node', () => {
  afterAll(() => testCloud?.cloud.stop());

  test('case 61: a new bundle replaces it, its successor first, without a lost file or a failed request', async () => {
    testCloud = await startTestCloud({ desired: 1, min: 1 });
    const files = someFiles(24, 200_000, 161);
    await uploadAll(testCloud, files);
    await expectRolled(1, files);
  }, 700_000);
});

describe('given a single node that is being replaced', () => {
  afterAll(() => testCloud?.cloud.stop());

  test('a deploy that changes only a function keeps what the earlier one was at: the new bundle arrives', async () => {
    testCloud = await startTestCloud({ desired: 1, min: 1 });
    const { cloud } = testCloud;
    const files = someFiles(6, 200_000, 64);
    const before = await ids();
    const packageDirectory = await packageVariant('newest');
    try {
      await uploadAll(testCloud, files);
      expect(await deployVariant(cloud, packageDirectory)).toBe('started');
      await until('its successor boots', () => cloud.compute.instances().length === 2);
      await changeFunction(packageDirectory);

      await deployVariant(cloud, packageDirectory);

      const isReplaced = async () => (await lastRefresh(testCloud))?.EndTime !== undefined;
      await until('no refresh is under way', isReplaced, DEADLINE_MS);
      const [node] = await testCloud.untilSettled(1, DEADLINE_MS);
      expect(before).not.toContain(node?.instanceId);
      const client = autoScalingClient(cloud);
      const group = await describeGroup(client, cloud.autoScalingGroupName);
      client.destroy();
      const { outputs } = cloud.account.stacks.find('chordfs-dev');
      expect(group?.launchTemplateVersion).toBe(outputs['NodeLaunchTemplateVersion']);
      expect(group?.instances.map(({ launchTemplateVersion }) => launchTemplateVersion)).toEqual(['2']);
      expect(await faultsOf(await testCloud.publicIps(), files)).toEqual([]);
    } finally {
      await discardVariant(packageDirectory);
    }
  }, 400_000);
});

describe('given two nodes that fill up', () => {
  afterAll(() => testCloud?.cloud.stop());

  test('case 63: an alarm during a refresh adds the node it asks for, and the refresh ends all the same', async () => {
    testCloud = await startTestCloud({ desired: 2, max: 4, volumeSizeBytes: 64 * 2 ** 20, threshold: 50 });
    const files = someFiles(42, 2 ** 20, 63);
    const packageDirectory = await packageVariant('newer');
    try {
      await uploadAll(testCloud, files);
      await deployVariant(testCloud.cloud, packageDirectory);
      await until(
        'the group was told to grow',
        () => testCloud.events.some((event) => event['detail-type'] === 'Scale Out Requested'),
        DEADLINE_MS,
      );
      const refresh = await until(
        'the refresh is over',
        async () => {
          const last = await lastRefresh(testCloud);
          return last?.EndTime !== undefined && last;
        },
        DEADLINE_MS,
      );
      expect(refresh.Status).toBe('Successful');
      const grown = await until(
        'more nodes than before, all of the new bundle',
        async () => {
          const nodes = await testCloud.cloud.nodes();
          return nodes.length > 2 && nodes;
        },
        DEADLINE_MS,
      );
      expect(await faultsOf(grown.map(({ publicIp }) => publicIp).slice(0, 1), files)).toEqual([]);
    } finally {
      await discardVariant(packageDirectory);
    }
  }, 700_000);
});
