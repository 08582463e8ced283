import { type MemberState, memberKey, usageAttribute } from '../../domain/member-record.ts';
import type { NodeUsage } from '../../domain/node-usage.ts';
import { metaKey } from '../../domain/ring-meta.ts';
import { update } from '../../domain/table-writes.ts';
import { ownRow } from './activation.ts';
import type { Assignment } from './membership.ts';
import type { MembershipContext } from './membership-context.ts';

/** What a heartbeat found in the table. */
export type Standing =
  | { readonly kind: 'member'; readonly state: MemberState; readonly reason: string | undefined }
  /** Another ring rules, or the row is terminal or gone: this node is no member any more. */
  | { readonly kind: 'fenced'; readonly reason: string };

/** One heartbeat: usage and life into the own row, and a look at what others have written there. */
export async function beat(
  context: MembershipContext,
  assignment: Assignment,
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
  // A table without the row was emptied or restored: no reason for a serving member to stop.
  if (row === undefined) return { kind: 'member', state: 'ACTIVE', reason: undefined };
  if (row.ringId !== assignment.ringId) return { kind: 'fenced', reason: 'another ring rules' };
  if (row.state === 'JOINING' || row.state === 'ACTIVE' || row.state === 'LEAVING') {
    return { kind: 'member', state: row.state, reason: row.reason };
  }
  return { kind: 'fenced', reason: `declared ${row.state}: ${row.reason ?? ''}` };
}
