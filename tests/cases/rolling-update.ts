import { DescribeInstanceRefreshesCommand } from '@aws-sdk/client-auto-scaling';
import { uploadSample } from '../end-to-end/node-client.ts';
import type { SampleFile } from '../end-to-end/sample-files.ts';
import type { TestCloud } from '../end-to-end/test-cloud.ts';
import { until } from '../end-to-end/until.ts';
import { type Load, startLoad } from './client-load.ts';
import {
  autoScalingClient,
  deployVariant,
  discardVariant,
  packageVariant,
  type Variant,
} from './package-variant.ts';

export function someFiles(count: number, sizeBytes: number, seed: number): SampleFile[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `file ${seed}-${i}`,
    sizeBytes,
    seed: seed * 1000 + i,
  }));
}

export async function uploadAll({ publicIps }: TestCloud, files: readonly SampleFile[]): Promise<void> {
  const ips = await publicIps();
  for (const [i, file] of files.entries()) await uploadSample(ips[i % ips.length] ?? '', file);
}

/** The newest refresh of the group; undefined when there was none. */
export async function lastRefresh({ cloud }: TestCloud) {
  const client = autoScalingClient(cloud);
  try {
    const { InstanceRefreshes = [] } = await client.send(
      new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: cloud.autoScalingGroupName }),
    );
    return InstanceRefreshes[0];
  } finally {
    client.destroy();
  }
}

const OVER = ['Successful', 'Failed', 'Cancelled', 'RollbackSuccessful', 'RollbackFailed'];

/**
 * Deploys another package under load and waits until the refresh that follows is over and the group is settled.
 * Resolves to how the refresh ended and what the clients saw.
 */
export async function rollTo(
  testCloud: TestCloud,
  variant: Variant,
  options: { readonly nodeCount: number; readonly files: readonly SampleFile[]; readonly deadlineMs: number },
): Promise<{ readonly status: string; readonly load: Load }> {
  const packageDirectory = await packageVariant(variant);
  const stopLoad = startLoad(testCloud.publicIps, options.files, options.nodeCount + 50);
  let status: string;
  let load: Load;
  try {
    await deployVariant(testCloud.cloud, packageDirectory);
    status = await until(
      'the refresh is over',
      async () => {
        const { Status = '' } = (await lastRefresh(testCloud)) ?? {};
        return OVER.includes(Status) && Status;
      },
      options.deadlineMs,
    );
    await testCloud.untilSettled(options.nodeCount, options.deadlineMs);
  } finally {
    load = await stopLoad();
    await discardVariant(packageDirectory);
  }
  return { status, load };
}
