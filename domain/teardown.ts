import { type RingMeta, updateMeta } from './ring-meta.ts';
import type { UpdateWrite } from './table-writes.ts';

/**
 * The end of a stage: its nodes stop draining and complete at once, nobody gets a place any more, and the group does
 * not grow. What the ring was is kept, because a removal can be refused or interrupted, and a ring that goes on with
 * this mark loses files with every node that leaves. Refused when the ring has become something else meanwhile.
 */
export function beginTeardown(stage: string, { status }: Pick<RingMeta, 'status'>): UpdateWrite {
  return updateMeta({
    stage,
    set: { status: 'TEARDOWN', statusBefore: status },
    // A ring that was never formed has no status at all: genesis asks for exactly that.
    conditions: [
      status === 'NONE'
        ? { attribute: 'status', is: 'absent' }
        : { attribute: 'status', is: '=', value: status },
    ],
  });
}

/** The stage stays after all: the ring is again what it was. Refused when it is not in teardown any more. */
export function endTeardown(stage: string, { statusBefore }: Pick<RingMeta, 'statusBefore'>): UpdateWrite {
  const conditions = [{ attribute: 'status', is: '=', value: 'TEARDOWN' }] as const;
  return statusBefore === 'NONE'
    ? updateMeta({ stage, remove: ['status', 'statusBefore'], conditions })
    : updateMeta({ stage, set: { status: statusBefore }, remove: ['statusBefore'], conditions });
}
