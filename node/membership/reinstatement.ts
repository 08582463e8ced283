import { positionKey } from '../../domain/assignment.ts';
import { formatIdentifier } from '../../domain/identifier.ts';
import { type MemberRecord, type MemberState, memberKey } from '../../domain/member-record.ts';
import { metaKey, parseMeta, updateMeta } from '../../domain/ring-meta.ts';
import { OUTBOX } from '../../domain/scaling-log.ts';
import { update } from '../../domain/table-writes.ts';
import { ownRow } from './activation.ts';
import { keepClusterKey } from './boot.ts';
import type { Assignment } from './membership.ts';
import { type MembershipContext, nodeEvent } from './membership-context.ts';

/** What a heartbeat found in the table. */
export type Standing =
  | { readonly kind: 'member'; readonly state: MemberState; readonly reason: string | undefined }
  /** Another ring rules, or the row is terminal: this node is no member any more. */
  | { readonly kind: 'fenced'; readonly reason: string };

/**
 * Whether the table shows this member as it was before it became one: a row that was deleted, or a table that was
 * restored from a backup. Epochs only grow, and states never go back to before ACTIVE without the node's own doing.
 */
export function isBehind(row: MemberRecord | undefined, { ringId, epoch }: Assignment): boolean {
  if (row === undefined || row.epoch < epoch) return true;
  return (
    row.ringId === ringId && (row.state === 'PENDING' || row.state === 'ASSIGNED' || row.state === 'JOINING')
  );
}

/**
 * Puts ring and member back as they are. The ring that serves knows better than a table that has forgotten it, as long
 * as the table does not know of a later ring: then this member has been fenced, and stays so.
 */
export async function reinstate(
  context: MembershipContext,
  assignment: Assignment,
  incarnation: number,
): Promise<Standing> {
  const { store, stage, identity, now } = context;
  const { ringId, epoch } = assignment;
  await store.write(
    updateMeta({
      stage,
      set: { status: 'ACTIVE', ringId, epoch, creator: identity.instanceId, leaseUntilMs: 0 },
      add: { version: 1 },
      conditions: [
        {
          any: [
            [{ attribute: 'status', is: 'absent' }],
            [
              { attribute: 'status', is: '<>', value: 'TEARDOWN' },
              { attribute: 'epoch', is: '<', value: epoch },
            ],
          ],
        },
      ],
    }),
  );
  const meta = parseMeta(await store.get(metaKey(stage)));
  if (meta.ringId !== ringId) return { kind: 'fenced', reason: 'another ring rules' };
  await keepClusterKey(context, assignment);
  await claimOwnPosition(context, assignment);
  const before = await ownRow(context);
  if (isBehind(before, assignment)) await writeRow(context, { assignment, incarnation, before });
  await context.publish(memberKey(stage, identity.instanceId));
  const row = await ownRow(context);
  context.log('warn', 'the member table had forgotten this member', { found: before?.state, atMs: now() });
  return row === undefined
    ? { kind: 'fenced', reason: 'no row' }
    : { kind: 'member', state: row.state, reason: row.reason };
}

async function claimOwnPosition(
  { store, stage, identity, now }: MembershipContext,
  { position, ringId }: Assignment,
): Promise<void> {
  await store.write(
    update(positionKey(stage, position), { set: { instanceId: identity.instanceId, ringId, atMs: now() } }, [
      { any: [[{ attribute: 'pk', is: 'absent' }], [{ attribute: 'ringId', is: '<>', value: ringId }]] },
    ]),
  );
}

async function writeRow(
  context: MembershipContext,
  options: {
    readonly assignment: Assignment;
    readonly incarnation: number;
    readonly before: MemberRecord | undefined;
  },
): Promise<void> {
  const { store, stage, identity, now } = context;
  const { assignment, incarnation, before } = options;
  const { instanceId, privateIp, publicIp, availabilityZone } = identity;
  const { ringId, epoch, role, position } = assignment;
  await store.write(
    update(
      memberKey(stage, instanceId),
      {
        set: {
          ...{ instanceId, privateIp, publicIp, availabilityZone },
          ...{ state: 'ACTIVE', ringId, epoch, incarnation },
          role: role === 'creator' ? 'creator' : 'joiner',
          position: formatIdentifier(position),
          createdMs: before?.createdMs ?? now(),
          ...{ stateMs: now(), heartbeatMs: now() },
        },
        remove: ['deadlineMs', 'ttl'],
        append: {
          [OUTBOX]: nodeEvent(context, assignment, {
            id: `reinstated-${instanceId}-${now()}`,
            detailType: 'Drift Repaired',
            cause: 'the member table had forgotten a serving member',
            correlationId: `reinstate-${instanceId}`,
            before: { state: before?.state ?? 'absent' },
            after: { state: 'ACTIVE', position: formatIdentifier(position) },
          }),
        },
      },
      // Exactly what was seen: somebody may have buried it meanwhile.
      [
        before === undefined
          ? { attribute: 'pk', is: 'absent' }
          : { attribute: 'state', is: '=', value: before.state },
      ],
    ),
  );
}
