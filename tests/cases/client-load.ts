import { setTimeout as pause } from 'node:timers/promises';
import { faultOf, uploadSample } from '../end-to-end/node-client.ts';
import { numbersFrom, type SampleFile } from '../end-to-end/sample-files.ts';

/** What clients did meanwhile, and everything that was wrong. */
export interface Load {
  readonly requestCount: number;
  readonly faults: readonly string[];
  /** All files that a node has acknowledged, those from before included. */
  readonly files: readonly SampleFile[];
}

/** Between two requests of one client, so that the machine has time for those it watches. */
const PAUSE_MS = 30;
const SIZE_BYTES = 40_000;

/**
 * A reader and a writer that use whichever nodes are in service at the moment, until told to stop. A request that
 * fails is a fault, whatever the reason.
 */
export function startLoad(
  publicIps: () => Promise<readonly string[]>,
  filesBefore: readonly SampleFile[],
  seed: number,
): () => Promise<Load> {
  const next = numbersFrom(seed);
  const files = [...filesBefore];
  const faults: string[] = [];
  let requestCount = 0;
  let isOver = false;
  const anyIp = async (): Promise<string | undefined> => {
    const ips = await publicIps();
    return ips[Math.floor(next() * ips.length)];
  };
  const client = async (act: (ip: string) => Promise<void>): Promise<void> => {
    while (!isOver) {
      const ip = await anyIp();
      if (ip === undefined) faults.push('no node in service');
      else await act(ip);
      requestCount += 1;
      await pause(PAUSE_MS);
    }
  };
  const reading = client(async (ip) => {
    const file = files[Math.floor(next() * files.length)];
    const fault = file === undefined ? undefined : await faultOf(ip, file);
    if (fault !== undefined) faults.push(fault);
  });
  const writing = client(async (ip) => {
    const file = {
      name: `meanwhile ${files.length}`,
      sizeBytes: SIZE_BYTES,
      seed: seed * 1000 + files.length,
    };
    try {
      await uploadSample(ip, file);
      files.push(file);
    } catch (error) {
      faults.push(String(error));
    }
  });
  return async () => {
    isOver = true;
    await Promise.all([reading, writing]);
    return { requestCount, faults, files };
  };
}
