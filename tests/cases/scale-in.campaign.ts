import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { timing } from '../../domain/timing.ts';
import { faultOf, faultsOf, uploadSample } from '../end-to-end/node-client.ts';
import { numbersFrom, type SampleFile } from '../end-to-end/sample-files.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, PATIENCE_MS } from './case-cloud.ts';

const TIME_SCALE = 40;
const LOW_WATER_MS = timing(TIME_SCALE).lowWaterMs;
vi.setConfig({ testTimeout: 3 * LOW_WATER_MS + 3 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

const VOLUME_BYTES = 96 * 2 ** 20;
/** Together 57 % of a volume: four members hold that well below three quarters of the threshold, three do not. */
const FILES: readonly SampleFile[] = Array.from({ length: 55 }, (_, i) => ({
  name: `low ${i}`,
  sizeBytes: 2 ** 20,
  seed: 31_000 + i,
}));
/** Between two reads, so that this is a watch and not a load. */
const PAUSE_MS = 50;
const KEPT = FILES.slice(0, 20);

let given: CaseCloud;
let stopReading: () => Promise<readonly string[]>;
/** Most members that were on their way out at any one time. */
let mostLeaving = 0;

beforeAll(async () => {
  given = await CaseCloud.start({
    ...{ desired: 5, max: 5, timeScale: TIME_SCALE, volumeSizeBytes: VOLUME_BYTES },
    ...{ threshold: 70, scaleIn: true },
  });
  given.cloud.compute.onChange(() => {
    const leaving = given.cloud.compute
      .instances()
      .filter(({ lifecycleState = '' }) => lifecycleState.startsWith('Terminating'));
    mostLeaving = Math.max(mostLeaving, leaving.length);
  });
  await put(KEPT);
  stopReading = readMeanwhile();
});
afterAll(async () => {
  await stopReading?.();
  await given?.stop();
});

/** Reads files that stay, through whoever is in service, until it is told to stop; resolves to what was wrong. */
function readMeanwhile(): () => Promise<readonly string[]> {
  const next = numbersFrom(31);
  const faults: string[] = [];
  let isOver = false;
  const reading = (async () => {
    while (!isOver) {
      const ips = await given.test.publicIps();
      const [ip, file] = [ips[Math.floor(next() * ips.length)], KEPT[Math.floor(next() * KEPT.length)]];
      const fault = ip === undefined || file === undefined ? 'nobody serves' : await faultOf(ip, file);
      if (fault !== undefined) faults.push(fault);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  return async () => {
    isOver = true;
    await reading;
    return faults;
  };
}

async function put(files: readonly SampleFile[]): Promise<void> {
  const ips = await given.test.publicIps();
  for (const [i, file] of files.entries()) await uploadSample(ips[i % ips.length] ?? '', file);
}

describe('given a group of five that may shrink, under reads', () => {
  test('one member is taken out while the others can hold everything, and the log says why', async () => {
    await given.test.untilSettled(4, LOW_WATER_MS + PATIENCE_MS);
    // At once: the next look is not far.
    await put(FILES.slice(KEPT.length));
    await given.untilTableIsRight();

    const [event] = given.log('Scale In Requested');
    expect(event?.detail).toMatchObject({ before: { desiredCapacity: 5 }, after: { desiredCapacity: 4 } });
    expect(event?.detail['cause']).toMatch(/^low since .*; without i-\w+ the fullest would store \d/);
    expect(await faultsOf(await given.test.publicIps(), FILES)).toEqual([]);
  });

  test('the next one stays, because three could not hold what has come since well below the threshold', async () => {
    const endMs = performance.now() + 2 * LOW_WATER_MS;
    await until('it is long past', () => performance.now() > endMs, 3 * LOW_WATER_MS);

    expect(given.log('Scale In Requested')).toHaveLength(1);
    expect(given.ids()).toHaveLength(4);
    expect(mostLeaving).toBe(1);
    expect(await stopReading()).toEqual([]);
  });
});
