import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CloudEvent } from '../../local/cloud.ts';
import { faultOf, faultsOf, uploadSample } from './node-client.ts';
import { numbersFrom, type SampleFile } from './sample-files.ts';
import { startTestCloud, type TestCloud } from './test-cloud.ts';
import { until } from './until.ts';

const VOLUME_BYTES = 64 * 2 ** 20;
/** Two nodes hold a copy of everything each, so this much fills both past the threshold of 60 %. */
const FILES: SampleFile[] = Array.from({ length: 44 }, (_, i) => ({
  name: `part ${i}`,
  sizeBytes: 2 ** 20,
  seed: 5000 + i,
}));
const TOTAL_BYTES = FILES.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

let testCloud: TestCloud;

beforeAll(async () => {
  testCloud = await startTestCloud({ desired: 2, max: 3, volumeSizeBytes: VOLUME_BYTES, threshold: 60 });
});
afterAll(() => testCloud?.cloud.stop());

/** Reads random files through random nodes until told to stop; resolves to everything that was wrong. */
function readMeanwhile(files: readonly SampleFile[]): () => Promise<{ faults: string[]; readCount: number }> {
  const next = numbersFrom(11);
  const faults: string[] = [];
  let readCount = 0;
  let isOver = false;
  const reading = (async () => {
    while (!isOver) {
      const ips = await testCloud.publicIps();
      const ip = ips[Math.floor(next() * ips.length)];
      const file = files[Math.floor(next() * files.length)];
      if (ip === undefined || file === undefined) throw new Error('nothing to read');
      const fault = await faultOf(ip, file);
      if (fault !== undefined) faults.push(fault);
      readCount++;
    }
  })();
  return async () => {
    isOver = true;
    await reading;
    return { faults, readCount };
  };
}

function firstEvent(
  type: string,
  matches: (event: CloudEvent) => boolean = () => true,
): CloudEvent | undefined {
  return testCloud.events.find((event) => event['detail-type'] === type && matches(event));
}

/** Bytes below a folder, as the operating system counts them. */
async function folderBytes(path: string): Promise<number> {
  const { stdout } = await promisify(execFile)('du', ['-sb', path]);
  return Number.parseInt(stdout, 10);
}

describe('given two nodes whose volumes are filled past the threshold', () => {
  let newcomer: string;
  let newcomerBytes: number;
  let meanwhile: { faults: string[]; readCount: number };

  beforeAll(async () => {
    const ips = await testCloud.publicIps();
    for (const [i, file] of FILES.entries()) await uploadSample(ips[i % ips.length] ?? '', file);
    const stopReading = readMeanwhile(FILES);
    const known = new Set((await testCloud.cloud.nodes()).map(({ instanceId }) => instanceId));
    const joined = await until(
      'a third instance in service',
      async () => (await testCloud.cloud.nodes()).find(({ instanceId }) => !known.has(instanceId)),
      90_000,
    );
    newcomer = joined.instanceId;
    const view = testCloud.cloud.compute.instances().find(({ instanceId }) => instanceId === newcomer);
    newcomerBytes = await folderBytes(`${view?.directory}/data`);
    await testCloud.untilOneRing();
    meanwhile = await stopReading();
  }, 180_000);

  test('the alarm has fired and the group has grown by exactly one', async () => {
    const { endpoint, region } = testCloud.cloud;
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    const cloudWatch = new CloudWatchClient({ endpoint, region, credentials });
    const { MetricAlarms = [] } = await cloudWatch.send(new DescribeAlarmsCommand({ StateValue: 'ALARM' }));
    cloudWatch.destroy();
    expect(MetricAlarms.length).toBeGreaterThanOrEqual(1);
    expect(await testCloud.cloud.nodes()).toHaveLength(3);
  });

  test('the newcomer waited in Pending:Wait until it had its keys, then went into service', () => {
    const states = testCloud.lifecycle
      .filter((line) => line.startsWith(newcomer))
      .map((line) => line.split(' ')[1]);
    expect(states.indexOf('Pending:Wait')).toBeGreaterThanOrEqual(0);
    expect(states.indexOf('InService')).toBeGreaterThan(states.indexOf('Pending:Wait'));
    // With three members every one holds everything.
    expect(newcomerBytes).toBeGreaterThanOrEqual(TOTAL_BYTES);
  });

  test('every file could be read all the while, and can be read through every node now', async () => {
    expect(meanwhile.faults).toEqual([]);
    expect(meanwhile.readCount).toBeGreaterThan(10);
    expect(await faultsOf(await testCloud.publicIps(), FILES)).toEqual([]);
  });

  test('the scaling log tells it in order, with cause, before and after', () => {
    const about = (event: CloudEvent): boolean => event.detail['instanceId'] === newcomer;
    const story = [
      firstEvent('Scale Out Requested'),
      firstEvent('Member Assigned', about),
      firstEvent('Member Joined', about),
    ];
    for (const event of story) {
      expect(event?.detail).toMatchObject({ cause: expect.stringMatching(/./) });
      expect(event?.detail['before']).toBeTypeOf('object');
      expect(event?.detail['after']).toBeTypeOf('object');
    }
    const positions = story.map((event) => (event === undefined ? -1 : testCloud.events.indexOf(event)));
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
  });

  test('at its largest size the group says so in the log and stays', async () => {
    const skipped = await until(
      'a Scale Out Skipped event',
      () => firstEvent('Scale Out Skipped', ({ detail }) => /max/i.test(JSON.stringify(detail))),
      60_000,
    );
    expect(skipped.detail).toMatchObject({ cause: expect.stringMatching(/./) });
    expect(await testCloud.cloud.nodes()).toHaveLength(3);
    expect(testCloud.events.filter((event) => event['detail-type'] === 'Scale Out Requested')).toHaveLength(
      1,
    );
  });
});
