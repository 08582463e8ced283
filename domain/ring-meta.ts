import { OUTBOX, type ScalingEvent } from './scaling-log.ts';
import {
  type Attribute,
  type Condition,
  type ItemKey,
  META,
  ringPartition,
  type StoredItem,
  type UpdateWrite,
  update,
} from './table-writes.ts';

/** NONE: no ring yet. CREATING: one instance holds the right to form it. TEARDOWN: the stage is being removed. */
export type RingStatus = 'NONE' | 'CREATING' | 'ACTIVE' | 'TEARDOWN';

export interface RingMeta {
  readonly status: RingStatus;
  /** While TEARDOWN: what the ring was until then, and is again if the stage is not removed after all. */
  readonly statusBefore: RingStatus;
  /** A uuid per genesis; '' before the first. Travels in every peer handshake, so two rings never merge. */
  readonly ringId: string;
  /** Grows with every genesis claim: the fence that tells a creator who overslept from the present one. */
  readonly epoch: number;
  readonly creator: string;
  /** While CREATING: when somebody else may take over, ms since the epoch. */
  readonly leaseUntilMs: number;
  /** Bumped before every activation, so that a claim made on an older look at the members is refused. */
  readonly version: number;
  /** The last desired capacity that was decided, when, and for which trigger. */
  readonly scaleTarget: number;
  readonly scaleDecidedMs: number;
  readonly scaleKey: string;
  /** Decided, and perhaps not told to the group yet: whoever decided may have died in between. */
  readonly scalePending: boolean;
  /** Since when one member less would hold everything well below the threshold; 0: it would not. */
  readonly lowWaterSinceMs: number;
  /** Whom the group is to lose, and at which desired capacity that was decided; '' when it was told. */
  readonly scaleInVictim: string;
  readonly scaleInFrom: number;
  /** When the last skipped scale-out was logged and why, so that a lasting reason is said once. */
  readonly skipReason: string;
  readonly skipLoggedMs: number;
  readonly outbox: boolean;
}

const NO_RING: RingMeta = {
  status: 'NONE',
  statusBefore: 'NONE',
  ringId: '',
  epoch: 0,
  creator: '',
  leaseUntilMs: 0,
  version: 0,
  scaleTarget: 0,
  scaleDecidedMs: 0,
  scaleKey: '',
  scalePending: false,
  lowWaterSinceMs: 0,
  scaleInVictim: '',
  scaleInFrom: 0,
  skipReason: '',
  skipLoggedMs: 0,
  outbox: false,
};

export function metaKey(stage: string): ItemKey {
  return { pk: ringPartition(stage), sk: META };
}

function statusOf(value: unknown): RingStatus {
  return value === 'CREATING' || value === 'ACTIVE' || value === 'TEARDOWN' ? value : 'NONE';
}

/** Reads META; an absent item is a ring that was never formed. */
export function parseMeta(item: StoredItem | undefined): RingMeta {
  if (item === undefined) return NO_RING;
  const text = (name: string) => (typeof item[name] === 'string' ? item[name] : '');
  const numeric = (name: string) => (typeof item[name] === 'number' ? item[name] : 0);
  return {
    status: statusOf(item['status']),
    // Without a note of it, a ring that has an id was in use.
    statusBefore: statusOf(item['statusBefore'] ?? (text('ringId') === '' ? 'NONE' : 'ACTIVE')),
    ringId: text('ringId'),
    epoch: numeric('epoch'),
    creator: text('creator'),
    leaseUntilMs: numeric('leaseUntilMs'),
    version: numeric('version'),
    scaleTarget: numeric('scaleTarget'),
    scaleDecidedMs: numeric('scaleDecidedMs'),
    scaleKey: text('scaleKey'),
    scalePending: item['scalePending'] === true,
    lowWaterSinceMs: numeric('lowWaterSinceMs'),
    scaleInVictim: text('scaleInVictim'),
    scaleInFrom: numeric('scaleInFrom'),
    skipReason: text('skipReason'),
    skipLoggedMs: numeric('skipLoggedMs'),
    outbox: Array.isArray(item[OUTBOX]) && item[OUTBOX].length > 0,
  };
}

/** A write of META under conditions, with the event that reports it. */
export function updateMeta(options: {
  readonly stage: string;
  readonly set?: Readonly<Record<string, Attribute | undefined>>;
  readonly remove?: readonly string[];
  readonly add?: Readonly<Record<string, number>>;
  readonly conditions: readonly [Condition, ...Condition[]];
  readonly event?: ScalingEvent | undefined;
}): UpdateWrite {
  const { stage, set, remove, add, conditions, event } = options;
  return update(
    metaKey(stage),
    {
      ...(set === undefined ? {} : { set }),
      ...(remove === undefined ? {} : { remove }),
      ...(add === undefined ? {} : { add }),
      ...(event === undefined ? {} : { append: { [OUTBOX]: event } }),
    },
    conditions,
  );
}

/** Bumps the version of the ring the caller belongs to: the first half of every activation. Refused: it was fenced. */
export function announceActivation(stage: string, ring: { ringId: string; epoch: number }): UpdateWrite {
  return updateMeta({
    stage,
    add: { version: 1 },
    conditions: [
      { attribute: 'ringId', is: '=', value: ring.ringId },
      { attribute: 'epoch', is: '=', value: ring.epoch },
      { attribute: 'status', is: 'in', values: ['CREATING', 'ACTIVE'] },
    ],
  });
}
