import { memberKey, usageAttribute } from '../../domain/member-record.ts';
import type { NodeUsage } from '../../domain/node-usage.ts';
import { metaKey } from '../../domain/ring-meta.ts';
import { update } from '../../domain/table-writes.ts';
import { ownRow } from './activation.ts';
import type { Assignment } from './membership.ts';
import type { MembershipContext } from './membership-context.ts';
import { isBehind, reinstate, type Standing } from './reinstatement.ts';

/** The life that beats. `isActive`: it has been told that it is a member; its row may lag behind that, never lead. */
export interface BeatingLife {
  readonly assignment: Assignment;
  readonly incarnation: number;
  readonly isActive: boolean;
}

/** One heartbeat: usage and life into the own row, and a look at what others have written there. */
export async function beat(
  context: MembershipContext,
  { assignment, incarnation, isActive }: BeatingLife,
  usage: NodeUsage | undefined,
): Promise<Standing> {
  const { store, stage, identity, now } = context;
  const key = memberKey(stage, identity.instanceId);
  await store.write(
    update(
      key,
      { set: { heartbeatMs: now(), usage: usage === undefined ? undefined : usageAttribute(usage) } },
      [
        { attribute: 'state', is: 'in', values: ['JOINING', 'ACTIVE', 'LEAVING'] },
        { attribute: 'ringId', is: '=', value: assignment.ringId },
      ],
    ),
  );
  const row = await ownRow(context);
  if (row?.outbox === true) {
    // What could not be sent when it happened.
    await context.publish(key);
    await context.publish(metaKey(stage));
  }
  if (isActive && isBehind(row, assignment)) return await reinstate(context, assignment, incarnation);
  if (row === undefined) return { kind: 'fenced', reason: 'no row' };
  if (row.ringId !== assignment.ringId) return { kind: 'fenced', reason: 'another ring rules' };
  if (row.state === 'JOINING' || row.state === 'ACTIVE' || row.state === 'LEAVING') {
    return { kind: 'member', state: row.state, reason: row.reason };
  }
  return { kind: 'fenced', reason: `declared ${row.state}: ${row.reason ?? ''}` };
}
