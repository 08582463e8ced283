import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { NodeHttp } from '../../bench/fleet/node-http.ts';
import type { MovementProgress } from '../../node/movement/progress.ts';
import { faultsOf, uploadSample } from '../end-to-end/node-client.ts';
import type { SampleFile } from '../end-to-end/sample-files.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, PATIENCE_MS } from './case-cloud.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

/** Enough that its transfer can be met half-way. */
const FILES: readonly SampleFile[] = Array.from({ length: 60 }, (_, i) => ({
  name: `kept ${i}`,
  sizeBytes: 2 ** 21,
  seed: 15_000 + i,
}));

let given: CaseCloud;
const http = new NodeHttp();

beforeAll(async () => {
  given = await CaseCloud.start({ desired: 2 });
  const ips = await given.test.publicIps();
  for (const [i, file] of FILES.entries()) await uploadSample(ips[i % ips.length] ?? '', file);
});
afterAll(async () => {
  http.close();
  await given?.stop();
});

/** What the joiner says of its transfer; undefined as long as it says nothing. */
async function progressOf(instanceId: string): Promise<MovementProgress | undefined> {
  const instance = given.cloud.compute.instances().find((one) => one.instanceId === instanceId);
  const status = await http
    .json<{ movement?: MovementProgress }>(instance?.publicIp ?? '', '/_chordfs/status')
    .catch(() => undefined);
  return status?.movement;
}

function shareOf({ bytesMoved, bytesLeft }: Pick<MovementProgress, 'bytesMoved' | 'bytesLeft'>): number {
  return bytesMoved / Math.max(1, bytesMoved + bytesLeft);
}

/** Resolves to the share of the files that has arrived, once that is at least `least`. */
function untilArrived(joiner: string, least: number): Promise<number> {
  return until(
    `${100 * least} % has arrived`,
    async () => {
      const progress = await progressOf(joiner);
      const share = progress === undefined ? 0 : shareOf(progress);
      return share >= least && share;
    },
    PATIENCE_MS,
  );
}

/** Keeps the joiner from going any further, so that it is killed exactly where it is; resolves to what has arrived. */
const HOLDS: readonly {
  readonly percent: number;
  readonly most: number;
  readonly hold: (joiner: string) => Promise<number>;
}[] = [
  {
    percent: 0,
    most: 0,
    // It has registered itself, and reaches none of those that it would pull from.
    hold: async (joiner) => {
      given.machines.partition([joiner]);
      await given.untilState(joiner, 'JOINING');
      return shareOf((await progressOf(joiner)) ?? { bytesMoved: 0, bytesLeft: 1 });
    },
  },
  {
    percent: 40,
    most: 90,
    hold: async (joiner) => {
      await untilArrived(joiner, 0.4);
      given.machines.partition([joiner]);
      return await untilArrived(joiner, 0.4);
    },
  },
  {
    percent: 99,
    most: 100,
    // It holds everything, and does not get to say that it is ACTIVE.
    hold: async (joiner) => {
      await untilArrived(joiner, 0.3);
      given.faults.calls.add(({ session, service }) => session === joiner && service === 'dynamodb', {
        kind: 'delay',
        delayMs: PATIENCE_MS,
      });
      return await untilArrived(joiner, 0.99);
    },
  },
];

describe('given files, and a joiner that is killed in the middle of its transfer', () => {
  test.each(HOLDS)(
    'case 15, at $percent to $most %: every file is where it was, the launch is given up, and its replacement joins',
    async ({ percent, most, hold }) => {
      await given.scaleTo(2);
      const known = given.ids();
      await given.setDesired(3);
      const joiner = await given.newcomer(known);
      const share = await hold(joiner);
      const state = (await given.member(joiner))?.state;
      given.machines.crash(joiner);

      await given.untilReplaced(joiner, 3);

      expect(state).toBe('JOINING');
      expect(100 * share).toBeGreaterThanOrEqual(percent);
      expect(100 * share).toBeLessThanOrEqual(most);
      expect(['FAILED', 'DEAD']).toContain((await given.untilState(joiner, 'FAILED', 'DEAD')).state);
      await given.untilTableIsRight();
      await given.test.untilOneRing(PATIENCE_MS);
      expect(await faultsOf(await given.test.publicIps(), FILES)).toEqual([]);
    },
  );
});
