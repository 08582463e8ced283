import {
  type EventSink,
  publishOutbox,
  type ScalingDetail,
  type ScalingEvent,
} from '../../domain/scaling-log.ts';
import type { ItemKey, ItemStore } from '../../domain/table-writes.ts';
import type { Timing } from '../../domain/timing.ts';
import type { Log } from './background-task.ts';
import type { InstanceMetadata } from './instance-metadata.ts';
import type { LifecycleActions } from './lifecycle-actions.ts';
import type { NodeIdentity } from './membership.ts';

/** What the parts of membership share once the node knows who it is. */
export interface MembershipContext {
  readonly stage: string;
  readonly identity: NodeIdentity;
  readonly store: ItemStore;
  readonly bus: EventSink;
  readonly actions: LifecycleActions;
  readonly metadata: InstanceMetadata;
  readonly launchHook: string;
  readonly terminateHook: string;
  readonly timing: Timing;
  readonly now: () => number;
  readonly log: Log;
  /** Sends what an item's outbox holds; a bus that is away leaves it there for later. Never throws. */
  publish(key: ItemKey): Promise<void>;
}

export function quietPublisher(
  context: Pick<MembershipContext, 'store' | 'bus' | 'timing' | 'now' | 'log'>,
): MembershipContext['publish'] {
  return async (key) => {
    try {
      await publishOutbox(context, key);
    } catch (error) {
      context.log('warn', 'scaling log not sent yet', { sk: key.sk, error: String(error) });
    }
  };
}

/** An event of the scaling log, told by this node. */
export function nodeEvent(
  { stage, identity, now }: MembershipContext,
  ring: { readonly ringId: string; readonly epoch: number },
  {
    id,
    detailType,
    ...detail
  }: Pick<ScalingEvent, 'id' | 'detailType'> &
    Pick<ScalingDetail, 'cause' | 'correlationId' | 'before' | 'after'>,
): ScalingEvent {
  const { ringId, epoch } = ring;
  const { instanceId } = identity;
  return {
    id,
    source: 'chordfs.node',
    detailType,
    atMs: now(),
    detail: { stage, ringId, epoch, instanceId, ...detail },
  };
}
