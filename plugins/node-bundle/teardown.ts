import {
  type AutoScalingClient,
  SetInstanceProtectionCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { metaKey, parseMeta } from '../../domain/ring-meta.ts';
import type { ItemStore } from '../../domain/table-writes.ts';
import { beginTeardown, endTeardown } from '../../domain/teardown.ts';
import { hasName } from './error-name.ts';
import { describeGroup } from './node-group.ts';
import { cancelRefresh } from './refresh.ts';

/** A ring that changes in the moment it is looked at is looked at again; it does so a few times in its life. */
const MOST_LOOKS = 5;

type Ring = Pick<ItemStore, 'get' | 'write'>;

/** Tells every node that the stage goes: they complete their actions at once instead of handing data over. */
export async function announceTeardown(ring: Ring, stage: string): Promise<'announced' | 'nothing there'> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    const item = await readMeta(ring, stage);
    if (item === 'no table') return 'nothing there';
    const meta = parseMeta(item);
    // An earlier try has said so.
    if (meta.status === 'TEARDOWN') return 'announced';
    if (await ring.write(beginTeardown(stage, meta))) return 'announced';
  }
  throw new Error('the ring keeps changing: try again');
}

/** Takes the announcement of a removal back that did not come to pass. */
export async function takeTeardownBack(
  ring: Ring,
  stage: string,
): Promise<'taken back' | 'nothing to take back'> {
  const item = await readMeta(ring, stage);
  const meta = item === 'no table' ? undefined : parseMeta(item);
  const isInTeardown = meta?.status === 'TEARDOWN';
  return isInTeardown && (await ring.write(endTeardown(stage, meta))) ? 'taken back' : 'nothing to take back';
}

async function readMeta(ring: Ring, stage: string) {
  try {
    return await ring.get(metaKey(stage));
  } catch (error) {
    // Never made, or removed by an earlier try.
    if (hasName(error, 'ResourceNotFoundException')) return 'no table';
    throw error;
  }
}

/**
 * Takes away what would keep the group from being deleted and can be given back: a refresh under way, and the
 * protection of instances from scale-in. @returns the instances that lost theirs, for the log.
 */
export async function freeInstances(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<readonly string[]> {
  const group = await describeGroup(autoScaling, autoScalingGroupName);
  if (group === undefined) return [];
  await cancelRefresh(autoScaling, autoScalingGroupName);
  const protectedIds = group.instances.flatMap((instance) =>
    instance.isProtected && !isRetained(instance) ? instance.instanceId : [],
  );
  if (protectedIds.length > 0) {
    await autoScaling.send(
      new SetInstanceProtectionCommand({
        AutoScalingGroupName: autoScalingGroupName,
        InstanceIds: protectedIds,
        ProtectedFromScaleIn: false,
      }),
    );
  }
  return protectedIds;
}

/**
 * Ends instances that were retained because they could not hand over their files, which Auto Scaling itself never
 * does. What they hold is gone with them. @returns the instances that were ended, for the log.
 */
export async function endRetained(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<readonly string[]> {
  const group = await describeGroup(autoScaling, autoScalingGroupName);
  const retained = (group?.instances ?? []).filter(isRetained).map(({ instanceId }) => instanceId);
  for (const InstanceId of retained) {
    // Not counted in the desired capacity, so there is nothing to decrement.
    await autoScaling.send(
      new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: false }),
    );
  }
  return retained;
}

function isRetained({ lifecycleState }: { readonly lifecycleState: string }): boolean {
  return lifecycleState.endsWith(':Retained');
}
