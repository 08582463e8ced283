import type { CloudEvent } from '../../local/cloud.ts';

/** Every sentence with which a decision may be explained: a share of a volume, or who is waited for. */
const REASON =
  /%|is (PENDING|ASSIGNED|JOINING|Pending)|in service|has not reported|being told|being taken out/;

export interface LogVerdict {
  readonly decisions: readonly CloudEvent[];
  /** What cannot be understood from the log alone. */
  readonly faults: readonly string[];
}

/**
 * Whether the scaling log alone explains what became of the group: every decision with its reason, and every size that
 * the group has had asked for by a decision.
 */
export function judgeLog(
  events: readonly CloudEvent[],
  group: { readonly first: number; readonly sizes: readonly number[] },
): LogVerdict {
  const decisions = events.filter((event) => event['detail-type'].startsWith('Scale '));
  const asked = decisions
    .filter((event) => event['detail-type'] === 'Scale Out Requested')
    .map(({ detail }) => Number((detail['after'] as { desiredCapacity?: number })?.desiredCapacity));
  const unexplained = decisions.filter(({ detail }) => !REASON.test(String(detail['cause'])));
  const largest = Math.max(group.first, ...asked);
  return {
    decisions,
    faults: [
      ...unexplained.map((event) => `no reason: ${JSON.stringify(event.detail)}`),
      ...asked.flatMap((count, i) =>
        count > (asked[i - 1] ?? group.first) ? [] : [`asked for ${count} a second time`],
      ),
      ...group.sizes.filter((count) => count > largest).map((count) => `nobody asked for ${count} instances`),
    ],
  };
}
