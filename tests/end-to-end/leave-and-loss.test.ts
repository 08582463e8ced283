import { AutoScalingClient, SetDesiredCapacityCommand } from '@aws-sdk/client-auto-scaling';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CloudNode } from '../../local/cloud.ts';
import { faultsOf, uploadSample } from './node-client.ts';
import { sampleFiles } from './sample-files.ts';
import { startTestCloud, type TestCloud } from './test-cloud.ts';
import { until } from './until.ts';

const FILES = sampleFiles(30, 6_000_000, 3);
/** States of a member row that claim a place on the ring. */
const LIVING_STATES = ['PENDING', 'ASSIGNED', 'JOINING', 'ACTIVE', 'LEAVING'];

let testCloud: TestCloud;

beforeAll(async () => {
  testCloud = await startTestCloud({ desired: 4, min: 2 });
  const ips = await testCloud.publicIps();
  for (const [i, file] of FILES.entries()) await uploadSample(ips[i % ips.length] ?? '', file);
});
afterAll(() => testCloud?.cloud.stop());

/** Instances that the member table takes for living, in any state but the final ones. */
async function livingMembers(): Promise<string[]> {
  const { services, tableName } = testCloud.cloud;
  const items = await services.dynamoDb.items(tableName);
  return items
    .filter(({ state }) => LIVING_STATES.includes(String(state)))
    .map(({ sk }) => String(sk).replace('NODE#', ''))
    .sort();
}

function idsOf(nodes: readonly CloudNode[]): string[] {
  return nodes.map(({ instanceId }) => instanceId).sort();
}

describe('given four nodes with files, when the desired capacity is set to three', () => {
  let left: string;

  beforeAll(async () => {
    const before = idsOf(await testCloud.cloud.nodes());
    const { endpoint, region, autoScalingGroupName: AutoScalingGroupName } = testCloud.cloud;
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    const autoScaling = new AutoScalingClient({ endpoint, region, credentials });
    await autoScaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity: 3 }));
    autoScaling.destroy();
    const after = idsOf(await testCloud.untilSettled(3));
    left = before.find((instanceId) => !after.includes(instanceId)) ?? '';
  });

  test('the chosen node drains through its terminate hook', async () => {
    const states = testCloud.lifecycle
      .filter((line) => line.startsWith(left))
      .map((line) => line.split(' ')[1]);
    expect(states).toContain('Terminating:Wait');
    const types = await until('a Member Left event', () => {
      const about = testCloud.events.filter(({ detail }) => detail['instanceId'] === left);
      const found = about.map((event) => event['detail-type']);
      return found.includes('Member Left') && found;
    });
    expect(types.indexOf('Member Leaving')).toBeLessThan(types.indexOf('Member Left'));
    expect(types).toContain('Member Leaving');
  });

  test('every file is still there, through every node', async () => {
    await testCloud.untilOneRing();
    expect(await faultsOf(await testCloud.publicIps(), FILES)).toEqual([]);
  });

  test('the member table knows exactly the three', async () => {
    expect(await livingMembers()).toEqual(idsOf(await testCloud.cloud.nodes()));
  });
});

describe('given three nodes with files, when one process is killed', () => {
  let killed: string;

  beforeAll(async () => {
    const [victim] = await testCloud.untilSettled(3);
    killed = victim?.instanceId ?? '';
    testCloud.cloud.compute.faults.crash(killed);
    await until(
      'another instance has taken its place',
      async () => {
        const nodes = await testCloud.cloud.nodes();
        return nodes.length === 3 && nodes.every(({ instanceId }) => instanceId !== killed);
      },
      120_000,
    );
  }, 180_000);

  test('the ring closes over the gap', () => testCloud.untilOneRing());

  test('the member table has no ghost of it', async () => {
    await testCloud.untilSettled(3);
    await until('the table has the three in service and no other', async () => {
      const living = await livingMembers();
      return living.join() === idsOf(await testCloud.cloud.nodes()).join();
    });
    expect(await livingMembers()).not.toContain(killed);
  });

  test('the log says that the member was lost, and why', async () => {
    const lost = await until('a Member Lost event', () =>
      testCloud.events.find(
        (event) => event['detail-type'] === 'Member Lost' && event.detail['instanceId'] === killed,
      ),
    );
    expect(lost.detail).toMatchObject({ cause: expect.stringMatching(/./) });
  });

  test('every file is still there, through every node', async () => {
    expect(await faultsOf(await testCloud.publicIps(), FILES)).toEqual([]);
  });
});
