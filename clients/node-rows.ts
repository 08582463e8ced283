import { formatIdentifier } from '../domain/identifier.ts';
import type { MemberRecord } from '../domain/member-record.ts';
import type { NodeMovement } from '../domain/node-usage.ts';
import { showByteSize } from './byte-size.ts';
import { showTimeSpan } from './time-span.ts';

/** One instance of the group, or one that only the member table knows. */
export interface KnownNode {
  readonly instanceId: string;
  /** Its lifecycle state; undefined: the group does not know it. */
  readonly lifecycleState: string | undefined;
  readonly privateIp: string | undefined;
  readonly publicIp: string | undefined;
  /** Undefined: it has no row. */
  readonly member: MemberRecord | undefined;
}

const HEADER = [
  'INSTANCE',
  'GROUP',
  'MEMBER',
  'RING ID',
  'PRIVATE',
  'PUBLIC',
  'DISK',
  'FILES',
  'SEEN',
  'MOVING',
];
const NONE = '-';

/** What an operator asks first: who is there, in which state, where, how full, heard of when, and busy with what. */
export function nodeRows(nodes: readonly KnownNode[], nowMs: number): readonly (readonly string[])[] {
  return [HEADER, ...nodes.map((node) => row(node, nowMs))];
}

function row(
  { instanceId, lifecycleState, privateIp, publicIp, member }: KnownNode,
  nowMs: number,
): string[] {
  const usage = member?.usage;
  return [
    instanceId,
    lifecycleState ?? NONE,
    member?.state ?? NONE,
    member?.position === undefined ? NONE : formatIdentifier(member.position),
    privateIp || member?.privateIp || NONE,
    publicIp || NONE,
    usage === undefined ? NONE : diskOf(usage.usedBytes, usage.capacityBytes),
    usage === undefined ? NONE : String(usage.fileCount),
    member?.heartbeatMs === undefined ? NONE : `${showTimeSpan(Math.max(0, nowMs - member.heartbeatMs))} ago`,
    usage?.movement === undefined ? NONE : movementOf(usage.movement),
  ];
}

function diskOf(usedBytes: number, capacityBytes: number): string {
  const percent = capacityBytes > 0 ? Math.round((100 * usedBytes) / capacityBytes) : 0;
  return `${percent} % of ${showByteSize(capacityBytes)}`;
}

/** `pulling: 120 MiB left, 40 MiB/s, 3.0 s to go`. */
function movementOf({ state, bytesLeft, bytesPerSecond, etaMs }: NodeMovement): string {
  if (bytesLeft === 0 && bytesPerSecond === 0) return state;
  const parts = [
    `${showByteSize(bytesLeft)} left`,
    `${showByteSize(bytesPerSecond)}/s`,
    ...(etaMs === undefined ? [] : [`${showTimeSpan(etaMs)} to go`]),
  ];
  return `${state}: ${parts.join(', ')}`;
}
