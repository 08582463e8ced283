import { positionKey } from '../../domain/assignment.ts';
import { type MemberState, memberKey, transition } from '../../domain/member-record.ts';
import { metaKey, parseMeta } from '../../domain/ring-meta.ts';
import type { DetailType } from '../../domain/scaling-log.ts';
import { remove } from '../../domain/table-writes.ts';
import { readLiveMembers } from './member-directory.ts';
import type { Assignment } from './membership.ts';
import { type MembershipContext, nodeEvent } from './membership-context.ts';

/** ACTIVE -> LEAVING by the node itself, when it noticed before the control plane did. Safe to repeat. */
export async function markLeaving(
  context: MembershipContext,
  assignment: Assignment,
  cause: string,
): Promise<void> {
  await change(context, assignment, {
    to: 'LEAVING',
    detailType: 'Member Leaving',
    from: ['ACTIVE'],
    cause,
    deadlineMs: context.now() + context.timing.drainLongestMs,
  });
}

/**
 * The end of a member: LEAVING -> GONE, and its position is free again. One that could not hand everything over in its
 * time is lost, like one that died: LEAVING -> DEAD.
 */
export async function markGone(
  context: MembershipContext,
  assignment: Assignment,
  { reason, isDrained }: { readonly reason: string; readonly isDrained: boolean },
): Promise<void> {
  await markLeaving(context, assignment, reason);
  const end = isDrained
    ? ({ to: 'GONE', detailType: 'Member Left', cause: reason } as const)
    : ({ to: 'DEAD', detailType: 'Member Lost', cause: `drain not finished in time: ${reason}` } as const);
  await change(context, assignment, { ...end, from: ['LEAVING'] });
  await freePosition(context, assignment);
}

/** The end of one that never became ACTIVE. */
export async function markFailed(
  context: MembershipContext,
  assignment: Assignment,
  cause: string,
): Promise<void> {
  await change(context, assignment, {
    to: 'FAILED',
    detailType: 'Join Failed',
    from: ['PENDING', 'ASSIGNED', 'JOINING'],
    cause,
  });
  await freePosition(context, assignment);
}

async function change(
  context: MembershipContext,
  assignment: Assignment,
  options: {
    readonly to: 'LEAVING' | 'GONE' | 'DEAD' | 'FAILED';
    readonly from: readonly [MemberState, ...MemberState[]];
    readonly detailType: DetailType;
    readonly cause: string;
    readonly deadlineMs?: number;
  },
): Promise<void> {
  const { stage, identity, now, timing } = context;
  const { to, from, detailType, cause, deadlineMs } = options;
  await context.store.write(
    transition({
      stage,
      instanceId: identity.instanceId,
      to,
      nowMs: now(),
      from,
      set: {
        reason: cause,
        deadlineMs,
        ttl: to === 'LEAVING' ? undefined : Math.ceil((now() + timing.keepHistoryMs) / 1000),
      },
      event: nodeEvent(context, assignment, {
        id: `${to.toLowerCase()}-${identity.instanceId}`,
        detailType,
        cause,
        correlationId: `leave-${identity.instanceId}`,
        before: { state: from[0] },
        after: { state: to },
      }),
    }),
  );
  await context.publish(memberKey(stage, identity.instanceId));
}

async function freePosition(
  { store, stage, identity }: MembershipContext,
  { position }: Assignment,
): Promise<void> {
  await store.write(
    remove(positionKey(stage, position), [{ attribute: 'instanceId', is: '=', value: identity.instanceId }]),
  );
}

/** Whether there is nobody to hand anything over to: the stage is being removed, or this is the last member. */
export async function isDrainPointless(context: MembershipContext, { ringId }: Assignment): Promise<boolean> {
  const { store, stage, identity } = context;
  if (parseMeta(await store.get(metaKey(stage))).status === 'TEARDOWN') return true;
  const live = await readLiveMembers(store, stage, ringId);
  return !live.some(
    ({ record }) =>
      record.instanceId !== identity.instanceId && (record.state === 'ACTIVE' || record.state === 'JOINING'),
  );
}
