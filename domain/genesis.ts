import { isTerminal, type MemberRecord } from './member-record.ts';
import { type RingMeta, updateMeta } from './ring-meta.ts';
import type { ScalingEvent } from './scaling-log.ts';
import type { Condition, UpdateWrite } from './table-writes.ts';

/**
 * Genesis: exactly one creator. Whoever wins a conditional write on META forms the ring; the write is guarded by the
 * version of META that was read together with the members, and every activation bumps that version first. So a ring
 * that has just got its first ACTIVE member can not be reset by somebody who looked a moment earlier.
 */
export type GenesisDecision =
  | { readonly kind: 'claim'; readonly why: 'first ring' | 'creator lease ran out' | 'no member is left' }
  /** This instance holds the claim already (a repeated event, or a restart). */
  | { readonly kind: 'mine' }
  | { readonly kind: 'wait' }
  /** There is a ring: join it. */
  | { readonly kind: 'join' };

/** Whether this member may hold data or form part of the ring `ringId`, as far as the table can know. */
function keepsRingAlive(member: MemberRecord, ringId: string): boolean {
  return member.ringId === ringId && (member.state === 'ACTIVE' || member.state === 'LEAVING');
}

export function decideGenesis(options: {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly instanceId: string;
  readonly nowMs: number;
}): GenesisDecision {
  const { meta, members, instanceId, nowMs } = options;
  // A ring later than META's serves: the table was restored, and that ring's members put it right.
  if (members.some((member) => !isTerminal(member.state) && member.epoch > meta.epoch))
    return { kind: 'wait' };
  switch (meta.status) {
    case 'TEARDOWN':
      return { kind: 'wait' };
    case 'NONE':
      return { kind: 'claim', why: 'first ring' };
    case 'CREATING': {
      if (meta.creator === instanceId) return { kind: 'mine' };
      const creator = members.find((member) => member.instanceId === meta.creator);
      const isCreatorGone = creator !== undefined && isTerminal(creator.state);
      if (meta.leaseUntilMs >= nowMs && !isCreatorGone) return { kind: 'wait' };
      return { kind: 'claim', why: 'creator lease ran out' };
    }
    case 'ACTIVE':
      // The creator's row turns ACTIVE a moment after META: until its lease is over, that gap is not an empty ring.
      if (members.some((member) => keepsRingAlive(member, meta.ringId))) return { kind: 'join' };
      return meta.leaseUntilMs >= nowMs && meta.creator !== instanceId && isAlive(members, meta.creator)
        ? { kind: 'wait' }
        : { kind: 'claim', why: 'no member is left' };
  }
}

function isAlive(members: readonly MemberRecord[], instanceId: string): boolean {
  return members.some((member) => member.instanceId === instanceId && !isTerminal(member.state));
}

/** The claim itself: refused when anything changed since META was read. */
export function claimGenesis(options: {
  readonly stage: string;
  readonly meta: RingMeta;
  readonly instanceId: string;
  readonly ringId: string;
  readonly nowMs: number;
  readonly leaseMs: number;
  readonly event?: ScalingEvent | undefined;
}): UpdateWrite {
  const { stage, meta, instanceId, ringId, nowMs, leaseMs, event } = options;
  const unchanged: [Condition, ...Condition[]] =
    meta.epoch === 0 && meta.status === 'NONE'
      ? [{ attribute: 'status', is: 'absent' }]
      : [
          { attribute: 'status', is: '=', value: meta.status },
          { attribute: 'epoch', is: '=', value: meta.epoch },
          { attribute: 'version', is: '=', value: meta.version },
        ];
  return updateMeta({
    stage,
    set: {
      status: 'CREATING',
      creator: instanceId,
      ringId,
      epoch: meta.epoch + 1,
      version: meta.version + 1,
      leaseUntilMs: nowMs + leaseMs,
      scaleKey: '',
      scalePending: false,
      scaleInVictim: '',
      lowWaterSinceMs: 0,
    },
    conditions: unchanged,
    event,
  });
}

/** CREATING -> ACTIVE, by the creator of this very epoch alone. Refused: it overslept and was fenced. */
export function activateRing(options: {
  readonly stage: string;
  readonly instanceId: string;
  readonly ringId: string;
  readonly epoch: number;
  readonly event: ScalingEvent;
}): UpdateWrite {
  const { stage, instanceId, ringId, epoch, event } = options;
  return updateMeta({
    stage,
    set: { status: 'ACTIVE' },
    add: { version: 1 },
    conditions: [
      { attribute: 'status', is: '=', value: 'CREATING' },
      { attribute: 'creator', is: '=', value: instanceId },
      { attribute: 'ringId', is: '=', value: ringId },
      { attribute: 'epoch', is: '=', value: epoch },
    ],
    event,
  });
}
