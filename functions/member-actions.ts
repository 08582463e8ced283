import { positionKey } from '../domain/assignment.ts';
import { formatIdentifier } from '../domain/identifier.ts';
import { type MemberRecord, memberKey, parseMember, tombstone, transition } from '../domain/member-record.ts';
import { type Condition, remove } from '../domain/table-writes.ts';
import { type ControlPlane, controlEvent, publishQuietly } from './control-plane.ts';

/** Why something is done to a member, and which trigger it belongs to. */
export interface Trigger {
  readonly cause: string;
  readonly correlationId: string;
}

export async function findMember(plane: ControlPlane, instanceId: string): Promise<MemberRecord | undefined> {
  const item = await plane.store.get(memberKey(plane.stage, instanceId));
  return item === undefined ? undefined : parseMember(item);
}

/** ACTIVE -> LEAVING: the node sees its row, drains, and completes its action itself. False: it was not ACTIVE. */
export async function markLeaving(
  plane: ControlPlane,
  member: MemberRecord,
  trigger: Trigger & { readonly terminateToken?: string },
): Promise<boolean> {
  const { stage, now, timing } = plane;
  const { instanceId } = member;
  const isMarked = await plane.store.write(
    transition({
      stage,
      instanceId,
      to: 'LEAVING',
      nowMs: now(),
      set: {
        terminateToken: trigger.terminateToken,
        deadlineMs: now() + timing.drainLongestMs,
        reason: trigger.cause,
      },
      event: controlEvent(plane, ringOf(member), {
        id: `leaving-${instanceId}`,
        detailType: 'Member Leaving',
        instanceId,
        ...causeOf(trigger),
        before: { state: 'ACTIVE' },
        after: { state: 'LEAVING' },
      }),
    }),
  );
  await publishQuietly(plane, [memberKey(stage, instanceId)]);
  return isMarked;
}

/**
 * Ends a member's life in the table: FAILED when it never was ACTIVE, DEAD when it was lost, GONE when it left or the
 * stage is being removed. Frees its position. Safe to repeat: a terminal row stays as it is.
 */
export async function bury(
  plane: ControlPlane,
  member: MemberRecord,
  as: 'FAILED' | 'DEAD' | 'GONE',
  trigger: Trigger & { readonly isForSilence?: boolean },
): Promise<boolean> {
  const { stage, now, timing } = plane;
  const { instanceId } = member;
  const detailType = ({ FAILED: 'Join Failed', DEAD: 'Member Lost', GONE: 'Member Left' } as const)[as];
  const isBuried = await plane.store.write(
    transition({
      stage,
      instanceId,
      to: as,
      nowMs: now(),
      // Exactly the state that was judged: a member that turned ACTIVE meanwhile is judged anew.
      from: [member.state],
      conditions: trigger.isForSilence === true ? [unheardSince(member)] : [],
      set: { reason: trigger.cause, ttl: Math.ceil((now() + timing.keepHistoryMs) / 1000) },
      remove: ['deadlineMs'],
      event: controlEvent(plane, ringOf(member), {
        id: `${as.toLowerCase()}-${instanceId}`,
        detailType,
        instanceId,
        ...causeOf(trigger),
        before: { state: member.state, ...usageOf(member) },
        after: { state: as },
      }),
    }),
  );
  if (isBuried) await freePosition(plane, member);
  await publishQuietly(plane, [memberKey(stage, instanceId)]);
  return isBuried;
}

function unheardSince({ heartbeatMs }: MemberRecord): Condition {
  return heartbeatMs === undefined
    ? { attribute: 'heartbeatMs', is: 'absent' }
    : { attribute: 'heartbeatMs', is: '=', value: heartbeatMs };
}

/** A tombstone keeps a launch event that comes after the termination from making a member of a machine that is gone. */
export async function buryUnknown(plane: ControlPlane, instanceId: string, trigger: Trigger): Promise<void> {
  const { stage, now, timing } = plane;
  await plane.store.write(
    tombstone({ stage, instanceId, nowMs: now(), reason: trigger.cause, keepMs: timing.keepHistoryMs }),
  );
}

export async function freePosition(
  plane: ControlPlane,
  { position, instanceId }: Pick<MemberRecord, 'position' | 'instanceId'>,
): Promise<void> {
  if (position === undefined) return;
  await plane.store.write(
    remove(positionKey(plane.stage, position), [{ attribute: 'instanceId', is: '=', value: instanceId }]),
  );
}

function ringOf({ ringId, epoch }: MemberRecord): { ringId: string; epoch: number } {
  return { ringId: ringId ?? '', epoch };
}

function causeOf({ cause, correlationId }: Trigger): Trigger {
  return { cause, correlationId };
}

/** What the ring loses with the member, for whoever reads the log. */
function usageOf({ usage, position }: MemberRecord) {
  return {
    ...(position === undefined ? {} : { position: formatIdentifier(position) }),
    ...(usage === undefined ? {} : { usedBytes: usage.usedBytes, fileCount: usage.fileCount }),
  };
}
