import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensurePackaged } from '../../clients/up/packaging.ts';
import type { CloudEvent, CloudNode } from '../../local/cloud.ts';
import type { InstanceView } from '../../local/compute.ts';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { type StartOptions, startCloud } from '../../local/up.ts';
import { call } from './node-client.ts';
import { until } from './until.ts';

export const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Of this process alone, so that the suite runs beside other suites and a cloud that somebody is looking at. */
const THIRD_OCTET = process.pid % 256;
const PRIVATE_PREFIX = `127.26.${THIRD_OCTET}`;
export const PUBLIC_PREFIX = `127.27.${THIRD_OCTET}`;

/** A running cloud and everything that has happened in it since. */
export interface TestCloud {
  readonly cloud: LocalCloud;
  readonly events: CloudEvent[];
  /** `<instanceId> <lifecycleState>` at every change, in order. */
  readonly lifecycle: string[];
  publicIps(): Promise<string[]>;
  /** Resolves once exactly this many instances are in service, and nothing is on its way in or out. */
  untilSettled(count: number, deadlineMs?: number): Promise<readonly CloudNode[]>;
  /** Resolves once every node names the same owner for every one of a set of keys, all of them in service. */
  untilOneRing(deadlineMs?: number): Promise<void>;
}

/** Packages when needed, starts a cloud and waits until it is ready. Stop it with `cloud.stop()`. */
export async function startTestCloud(options: Partial<StartOptions>): Promise<TestCloud> {
  const signal = AbortSignal.timeout(100_000);
  await ensurePackaged({ projectDirectory: PROJECT, signal, onStart: () => undefined });
  const cloud = await startCloud(
    {
      desired: 2,
      min: 1,
      max: 5,
      volumeSizeBytes: 256 * 2 ** 20,
      threshold: 70,
      timeScale: 20,
      directory: undefined,
      port: 0,
      privatePrefix: PRIVATE_PREFIX,
      publicPrefix: PUBLIC_PREFIX,
      ...options,
    },
    signal,
  );
  const events: CloudEvent[] = [];
  cloud.onScalingEvent((event) => events.push(event));
  const lifecycle: string[] = [];
  const lastState = new Map<string, string>();
  cloud.compute.onChange(({ instanceId, lifecycleState = 'gone' }) => {
    if (lastState.get(instanceId) === lifecycleState) return;
    lastState.set(instanceId, lifecycleState);
    lifecycle.push(`${instanceId} ${lifecycleState}`);
  });
  const testCloud = { cloud, events, lifecycle, ...waits(cloud) };
  try {
    await cloud.whenReady(signal);
  } catch (error) {
    await cloud.stop();
    throw error;
  }
  return testCloud;
}

const PROBE_KEYS = Array.from({ length: 16 }, (_, i) => (i * 0x1000_0000 + 0x0800_0000) >>> 0);

function waits(cloud: LocalCloud): Pick<TestCloud, 'publicIps' | 'untilSettled' | 'untilOneRing'> {
  const publicIps = async (): Promise<string[]> => (await cloud.nodes()).map(({ publicIp }) => publicIp);
  return {
    publicIps,
    untilSettled: (count, deadlineMs = 90_000) =>
      until(
        `${count} instances in service and none on its way`,
        async () => {
          const inGroup = cloud.compute
            .instances()
            .filter(({ autoScalingGroupName: group }) => group !== undefined);
          return inGroup.length === count && inGroup.every(isInService) && (await cloud.nodes());
        },
        deadlineMs,
      ),
    untilOneRing: async (deadlineMs = 30_000) => {
      await until(
        'every node names the same owners',
        async () => {
          const ips = await publicIps();
          const answers = await Promise.all(ips.map((ip) => ownersThrough(ip)));
          const owners = answers[0]?.split(' ') ?? [];
          return new Set(answers).size === 1 && owners.every((owner) => ips.includes(owner));
        },
        deadlineMs,
      );
    },
  };
}

function isInService({ lifecycleState }: InstanceView): boolean {
  return lifecycleState === 'InService';
}

async function ownersThrough(ip: string): Promise<string> {
  const answers = PROBE_KEYS.map(
    (key) => call(ip, 'find_successor', key) as Promise<[string, number, number]>,
  );
  return (await Promise.all(answers)).map(([owner]) => owner).join(' ');
}
