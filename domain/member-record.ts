import { formatIdentifier, type Identifier, parseIdentifier } from './identifier.ts';
import type { MemberPhase } from './member.ts';
import type { ArcWeight, NodeMovement, NodeUsage } from './node-usage.ts';
import { MAX_ARC_WEIGHTS } from './node-usage.ts';
import { OUTBOX, type ScalingEvent } from './scaling-log.ts';
import {
  type Attribute,
  type Condition,
  type ItemKey,
  NODE_PREFIX,
  ringPartition,
  type StoredItem,
  type UpdateWrite,
  update,
} from './table-writes.ts';

/**
 * A member's life in the table. PENDING: its instance exists, it has no place yet. ASSIGNED: it has a place. JOINING:
 * its node is up and being admitted. ACTIVE: owner of its arc. LEAVING: drains. GONE: left in order. FAILED: never
 * became ACTIVE. DEAD: was ACTIVE and was lost without a drain. The last three are final: instance ids are not reused.
 */
export const MEMBER_STATES = [
  'PENDING',
  'ASSIGNED',
  'JOINING',
  'ACTIVE',
  'LEAVING',
  'GONE',
  'FAILED',
  'DEAD',
] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/**
 * The only transitions there are. ACTIVE -> JOINING: the process restarted after the ring had confirmed its earlier
 * life dead, so it is admitted again, with the data it still has. Back to PENDING: its ring is gone, another one rules;
 * ACTIVE as well, for a creator that slept between forming its ring and saying so in its row.
 */
const TRANSITIONS: Readonly<Record<MemberState, readonly MemberState[]>> = {
  PENDING: ['ASSIGNED', 'GONE', 'FAILED'],
  ASSIGNED: ['JOINING', 'PENDING', 'GONE', 'FAILED'],
  JOINING: ['ACTIVE', 'PENDING', 'GONE', 'FAILED'],
  ACTIVE: ['LEAVING', 'JOINING', 'PENDING', 'DEAD'],
  LEAVING: ['GONE', 'DEAD'],
  GONE: [],
  FAILED: [],
  DEAD: [],
};

export function isTerminal(state: MemberState): boolean {
  return TRANSITIONS[state].length === 0;
}

export function mayBecome(from: MemberState, to: MemberState): boolean {
  return TRANSITIONS[from].includes(to);
}

/** The states that a guarded write to `to` accepts. */
export function statesBefore(to: MemberState): readonly MemberState[] {
  return MEMBER_STATES.filter((from) => mayBecome(from, to));
}

/** What the ring calls it; undefined for a member that the ring has not met. */
export const PHASE_OF: Readonly<Record<MemberState, MemberPhase | undefined>> = {
  PENDING: undefined,
  ASSIGNED: undefined,
  JOINING: 'joining',
  ACTIVE: 'active',
  LEAVING: 'draining',
  GONE: 'left',
  FAILED: 'left',
  DEAD: 'left',
};

export interface MemberRecord {
  readonly instanceId: string;
  readonly state: MemberState;
  readonly role: 'creator' | 'joiner' | undefined;
  readonly position: Identifier | undefined;
  readonly ringId: string | undefined;
  readonly epoch: number;
  readonly privateIp: string;
  readonly publicIp: string;
  readonly availabilityZone: string;
  /** 0 before the node's first start. */
  readonly incarnation: number;
  readonly launchToken: string | undefined;
  readonly terminateToken: string | undefined;
  /** When the row was made, when its state last changed, when its node last reported; ms since the epoch. */
  readonly createdMs: number;
  readonly stateMs: number;
  readonly heartbeatMs: number | undefined;
  /** By when the present state must be over; the reconciler acts after it. */
  readonly deadlineMs: number | undefined;
  readonly reason: string | undefined;
  readonly usage: NodeUsage | undefined;
  readonly outbox: boolean;
}

export function memberKey(stage: string, instanceId: string): ItemKey {
  return { pk: ringPartition(stage), sk: `${NODE_PREFIX}${instanceId}` };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
function numeric(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Reads a row; undefined when it is no member row. Missing details become absent, never wrong. */
export function parseMember(item: StoredItem): MemberRecord | undefined {
  const sk = text(item['sk']);
  const state = MEMBER_STATES.find((known) => known === item['state']);
  if (sk === undefined || !sk.startsWith(NODE_PREFIX) || state === undefined) return undefined;
  const role = item['role'];
  return {
    instanceId: sk.slice(NODE_PREFIX.length),
    state,
    role: role === 'creator' || role === 'joiner' ? role : undefined,
    position: parseIdentifier(text(item['position']) ?? ''),
    ringId: text(item['ringId']),
    epoch: numeric(item['epoch']) ?? 0,
    privateIp: text(item['privateIp']) ?? '',
    publicIp: text(item['publicIp']) ?? text(item['privateIp']) ?? '',
    availabilityZone: text(item['availabilityZone']) ?? '',
    incarnation: numeric(item['incarnation']) ?? 0,
    launchToken: text(item['launchToken']),
    terminateToken: text(item['terminateToken']),
    createdMs: numeric(item['createdMs']) ?? 0,
    stateMs: numeric(item['stateMs']) ?? 0,
    heartbeatMs: numeric(item['heartbeatMs']),
    deadlineMs: numeric(item['deadlineMs']),
    reason: text(item['reason']),
    usage: parseUsage(item['usage']),
    outbox: Array.isArray(item[OUTBOX]) && item[OUTBOX].length > 0,
  };
}

function parseUsage(value: unknown): NodeUsage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const usage = value as Record<string, unknown>;
  const usedBytes = numeric(usage['usedBytes']);
  const capacityBytes = numeric(usage['capacityBytes']);
  if (usedBytes === undefined || capacityBytes === undefined) return undefined;
  const weights: unknown[] = Array.isArray(usage['arcWeights']) ? usage['arcWeights'] : [];
  return {
    usedBytes,
    capacityBytes,
    fileCount: numeric(usage['fileCount']) ?? 0,
    predecessorId: parseIdentifier(text(usage['predecessorId']) ?? ''),
    successorId: parseIdentifier(text(usage['successorId']) ?? ''),
    arcWeights: weights.slice(0, MAX_ARC_WEIGHTS).flatMap(parseWeight),
    movement: parseMovement(usage['movement']),
  };
}

function parseMovement(value: unknown): NodeMovement | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const movement = value as Record<string, unknown>;
  const state = text(movement['state']);
  if (state === undefined) return undefined;
  return {
    state,
    bytesLeft: numeric(movement['bytesLeft']) ?? 0,
    bytesPerSecond: numeric(movement['bytesPerSecond']) ?? 0,
    etaMs: numeric(movement['etaMs']),
  };
}

function parseWeight(value: unknown): ArcWeight[] {
  if (!Array.isArray(value)) return [];
  const upTo = parseIdentifier(text(value[0]) ?? '');
  const bytes = numeric(value[1]);
  return upTo === undefined || bytes === undefined || bytes < 0 ? [] : [{ upTo, bytes }];
}

/** The inverse of the usage part of `parseMember`, compact because it is written with every heartbeat. */
export function usageAttribute(usage: NodeUsage): Attribute {
  return {
    usedBytes: usage.usedBytes,
    capacityBytes: usage.capacityBytes,
    fileCount: usage.fileCount,
    predecessorId: usage.predecessorId === undefined ? null : formatIdentifier(usage.predecessorId),
    successorId: usage.successorId === undefined ? null : formatIdentifier(usage.successorId),
    arcWeights: usage.arcWeights
      .slice(0, MAX_ARC_WEIGHTS)
      .map(({ upTo, bytes }) => [formatIdentifier(upTo), bytes]),
    ...(usage.movement === undefined ? {} : { movement: movementAttribute(usage.movement) }),
  };
}

function movementAttribute({ state, bytesLeft, bytesPerSecond, etaMs }: NodeMovement): Attribute {
  return { state, bytesLeft, bytesPerSecond, ...(etaMs === undefined ? {} : { etaMs }) };
}

export interface Transition {
  readonly stage: string;
  readonly instanceId: string;
  readonly to: MemberState;
  readonly nowMs: number;
  /** Accepted present states; default: all that the table of transitions allows. A subset, asserted by tests. */
  readonly from?: readonly MemberState[];
  readonly set?: Readonly<Record<string, Attribute | undefined>>;
  readonly remove?: readonly string[];
  readonly conditions?: readonly Condition[];
  /** Reported in the same write, so that there is no change without its event. */
  readonly event?: ScalingEvent | undefined;
}

/** A guarded change of state: refused when the row is absent, in another state, or a further condition fails. */
export function transition(change: Transition): UpdateWrite {
  const { stage, instanceId, to, nowMs, from = statesBefore(to), set = {}, conditions = [], event } = change;
  return update(
    memberKey(stage, instanceId),
    {
      set: { state: to, stateMs: nowMs, ...set },
      ...(change.remove === undefined ? {} : { remove: change.remove }),
      ...(event === undefined ? {} : { append: { [OUTBOX]: event } }),
    },
    [{ attribute: 'state', is: 'in', values: from }, ...conditions],
  );
}

export interface InstanceFacts {
  readonly instanceId: string;
  readonly privateIp: string;
  readonly publicIp: string;
  readonly availabilityZone: string;
}

/** Makes the PENDING row unless there is one in any state: a tombstone keeps a late launch event from reviving it. */
export function registerPending(
  options: InstanceFacts & { readonly stage: string; readonly nowMs: number; readonly launchToken?: string },
): UpdateWrite {
  const { stage, instanceId, nowMs, privateIp, publicIp, availabilityZone, launchToken } = options;
  return update(
    memberKey(stage, instanceId),
    {
      set: {
        state: 'PENDING',
        instanceId,
        privateIp,
        publicIp,
        availabilityZone,
        epoch: 0,
        createdMs: nowMs,
        stateMs: nowMs,
        launchToken,
      },
    },
    [{ attribute: 'pk', is: 'absent' }],
  );
}

/** A GONE row for an instance that has none: whatever comes late finds a terminal state. */
export function tombstone(options: {
  readonly stage: string;
  readonly instanceId: string;
  readonly nowMs: number;
  readonly reason: string;
  readonly keepMs: number;
}): UpdateWrite {
  const { stage, instanceId, nowMs, reason, keepMs } = options;
  return update(
    memberKey(stage, instanceId),
    {
      set: {
        state: 'GONE',
        instanceId,
        epoch: 0,
        createdMs: nowMs,
        stateMs: nowMs,
        reason,
        ttl: Math.ceil((nowMs + keepMs) / 1000),
      },
    },
    [{ attribute: 'pk', is: 'absent' }],
  );
}

/** When the member was last known to live: its last report, or the last change of its row before its first. */
export function lastSignMs(member: MemberRecord): number {
  return Math.max(member.heartbeatMs ?? 0, member.stateMs);
}
