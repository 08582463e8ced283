import { setTimeout as pause } from 'node:timers/promises';
import { parseIdentifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetProcess } from '../fleet/fleet-process.ts';

const POLL_MS = 100;
const SETTLE_MS = 3_000;

/** The ring as one node sees it, in the form that placement reads. */
export async function membersSeenBy(fleet: Fleet, node: FleetProcess): Promise<RingMember[]> {
  const { members = [] } = await fleet.status(node);
  return members.map(({ id, ...member }) => {
    const position = parseIdentifier(id);
    if (position === undefined) throw new Error(`no identifier: ${id}`);
    return { ...member, id: position };
  });
}

export interface Moved {
  readonly bytes: number;
  readonly files: number;
}

/** What these nodes, all that answer by default, together have moved since they started. */
export async function movedBy(
  fleet: Fleet,
  nodes: readonly FleetProcess[] = fleet.answering(),
): Promise<Moved> {
  const progress = await Promise.all(
    nodes.map(async (node) => (await fleet.status(node).catch(() => undefined))?.movement),
  );
  return {
    bytes: progress.reduce((sum, each) => sum + (each?.bytesMoved ?? 0), 0),
    files: progress.reduce((sum, each) => sum + (each?.filesMoved ?? 0), 0),
  };
}

/** Resolves once no node has anything to move and has not for a while. */
export async function whenStill(fleet: Fleet, timeoutMs = 180_000): Promise<void> {
  let stillSinceMs: number | undefined;
  let last = '';
  await fleet.until('nothing moves any more', timeoutMs, async () => {
    const states = await Promise.all(
      fleet.answering().map(async (node) => (await fleet.status(node).catch(() => undefined))?.movement),
    );
    const now = states.map((each) => `${each?.bytesMoved}`).join();
    const isStill = now === last && states.every((each) => each?.state === 'idle' && each.bytesLeft === 0);
    last = now;
    stillSinceMs = isStill ? (stillSinceMs ?? performance.now()) : undefined;
    return stillSinceMs !== undefined && performance.now() - stillSinceMs > SETTLE_MS;
  });
}

export interface JoinTrace {
  /** From the moment the newcomer was in the pointers until it served. */
  readonly receivingMs: number;
  /** Best second of the transfer, from its own counters. */
  readonly bestBytesPerSecond: number;
  readonly received: Moved;
  /** One line of what a person sees meanwhile. */
  readonly shown: readonly string[];
}

/** Follows a newcomer's own word from its admission until it serves. */
export async function watchJoin(fleet: Fleet, node: FleetProcess, timeoutMs = 600_000): Promise<JoinTrace> {
  const deadline = performance.now() + timeoutMs;
  const shown: string[] = [];
  let admittedAtMs: number | undefined;
  let bestBytesPerSecond = 0;
  for (;;) {
    const status = await fleet.status(node).catch(() => undefined);
    const { movement } = status ?? {};
    if (status?.members !== undefined) admittedAtMs ??= performance.now();
    if (movement !== undefined) {
      bestBytesPerSecond = Math.max(bestBytesPerSecond, movement.bytesPerSecond);
      const { state, bytesLeft, bytesPerSecond, etaMs } = movement;
      shown.push(`${state}, ${bytesLeft} B left, ${bytesPerSecond} B/s, ${etaMs ?? '-'} ms to go`);
    }
    if (status?.isReady === true && movement !== undefined && admittedAtMs !== undefined) {
      const received = { bytes: movement.bytesMoved, files: movement.filesMoved };
      return { receivingMs: performance.now() - admittedAtMs, bestBytesPerSecond, received, shown };
    }
    if (performance.now() > deadline || !node.isRunning)
      throw new Error(`${node.spec.instanceId} did not join`);
    await pause(POLL_MS);
  }
}
