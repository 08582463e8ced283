import { ChordfsError } from '../../domain/errors.ts';
import { activateRing } from '../../domain/genesis.ts';
import { formatIdentifier } from '../../domain/identifier.ts';
import {
  isTerminal,
  type MemberRecord,
  type MemberState,
  memberKey,
  parseMember,
  transition,
} from '../../domain/member-record.ts';
import { announceActivation, metaKey, parseMeta } from '../../domain/ring-meta.ts';
import { deathsKey, isDead, parseDeaths } from '../../domain/ring-registry.ts';
import type { Attribute } from '../../domain/table-writes.ts';
import type { Assignment } from './membership.ts';
import { type MembershipContext, nodeEvent } from './membership-context.ts';

export async function ownRow({
  store,
  stage,
  identity,
}: MembershipContext): Promise<MemberRecord | undefined> {
  const item = await store.get(memberKey(stage, identity.instanceId));
  return item === undefined ? undefined : parseMember(item);
}

/** Registers this life, see `Membership.startJoining`. @returns the state that it begins in. */
export async function registerLife(
  context: MembershipContext,
  assignment: Assignment,
  incarnation: number,
): Promise<MemberState> {
  const { store, stage, identity, timing, now } = context;
  const { ringId } = assignment;
  const row = await ownRow(context);
  // Given up while this process slept on its assignment: a final state is never left.
  if (row === undefined || isTerminal(row.state)) {
    throw new ChordfsError('FORBIDDEN', { instanceId: identity.instanceId, state: row?.state ?? 'absent' });
  }
  const deaths = parseDeaths(await store.get(deathsKey(stage, ringId)));
  const isResuming = row.state === 'ACTIVE' || row.state === 'LEAVING';
  // A restarted member that nobody declared dead keeps its state; its new life is all there is to write.
  const keepsState =
    isResuming &&
    assignment.role === 'resumed' &&
    !isDead(deaths, { ...identity, incarnation: row.incarnation });
  const to: MemberState = keepsState || row.state === 'LEAVING' ? row.state : 'JOINING';
  const isWritten = await store.write(
    transition({
      stage,
      instanceId: identity.instanceId,
      to,
      nowMs: now(),
      from: [row.state],
      set: {
        incarnation,
        heartbeatMs: now(),
        ...addresses(context),
        ...(to === 'JOINING' ? { deadlineMs: now() + timing.joinLongestMs } : {}),
      },
      conditions: [{ attribute: 'ringId', is: '=', value: ringId }],
    }),
  );
  if (!isWritten) {
    throw new ChordfsError('FORBIDDEN', { instanceId: identity.instanceId, state: row.state });
  }
  return to;
}

/** A restarted machine may have another public address. */
function addresses({ identity }: MembershipContext): Readonly<Record<string, Attribute>> {
  const { privateIp, publicIp, availabilityZone } = identity;
  return { privateIp, publicIp, availabilityZone };
}

/**
 * JOINING -> ACTIVE. META first: its version tells everybody who might reset the ring that it has just got a member;
 * a creator that overslept its lease finds that out here, before anybody counts on it.
 */
export async function activate(
  context: MembershipContext,
  assignment: Assignment,
): Promise<'active' | 'fenced'> {
  const { store, stage, identity } = context;
  const isAnnounced =
    assignment.role === 'creator'
      ? await activateAsCreator(context, assignment)
      : await store.write(announceActivation(stage, assignment));
  await context.publish(metaKey(stage));
  if (!isAnnounced) return 'fenced';
  const isWritten = await store.write(activeRow(context, assignment));
  await context.publish(memberKey(stage, identity.instanceId));
  const row = await ownRow(context);
  const isMember = row?.state === 'ACTIVE' || row?.state === 'LEAVING';
  if (!isWritten && !isMember) return 'fenced';
  // A reset that read META before the announcement and wrote after it can only be seen now.
  const meta = parseMeta(await store.get(metaKey(stage)));
  return meta.ringId === assignment.ringId ? 'active' : 'fenced';
}

async function activateAsCreator(context: MembershipContext, assignment: Assignment): Promise<boolean> {
  const { store, stage, identity } = context;
  const { ringId, epoch, position } = assignment;
  const isFirst = await store.write(
    activateRing({
      stage,
      instanceId: identity.instanceId,
      ringId,
      epoch,
      event: nodeEvent(context, assignment, {
        id: `ring-created-${epoch}`,
        detailType: 'Ring Created',
        cause: 'formed by its creator',
        correlationId: ringId,
        before: { status: 'CREATING' },
        after: { status: 'ACTIVE', ringId, position: formatIdentifier(position) },
      }),
    }),
  );
  if (isFirst) return true;
  // Done before a crash of this very creator is as good as done now.
  const meta = parseMeta(await store.get(metaKey(stage)));
  return (
    meta.status === 'ACTIVE' &&
    meta.ringId === ringId &&
    meta.epoch === epoch &&
    meta.creator === identity.instanceId
  );
}

function activeRow(context: MembershipContext, assignment: Assignment) {
  const { stage, identity, now } = context;
  const position = formatIdentifier(assignment.position);
  return transition({
    stage,
    instanceId: identity.instanceId,
    to: 'ACTIVE',
    nowMs: now(),
    set: { heartbeatMs: now() },
    remove: ['deadlineMs'],
    conditions: [{ attribute: 'ringId', is: '=', value: assignment.ringId }],
    event: nodeEvent(context, assignment, {
      id: `joined-${identity.instanceId}-${now()}`,
      detailType: 'Member Joined',
      cause: assignment.role === 'creator' ? 'formed the ring' : 'holds its arc',
      correlationId: `join-${identity.instanceId}`,
      before: { state: 'JOINING' },
      after: { state: 'ACTIVE', position },
    }),
  });
}
