import { randomBytes, randomUUID } from 'node:crypto';
import { type ClaimOptions, claimKeys, claimPlace, recheckPlace } from '../../domain/assignment.ts';
import { ChordfsError } from '../../domain/errors.ts';
import { isTerminal, type MemberRecord, memberKey, parseMember } from '../../domain/member-record.ts';
import { metaKey, parseMeta, type RingMeta } from '../../domain/ring-meta.ts';
import { KEY_PREFIX, ringPartition, update } from '../../domain/table-writes.ts';
import { sleep } from './background-task.ts';
import { readLiveMembers } from './member-directory.ts';
import type { Assignment } from './membership.ts';
import type { MembershipContext } from './membership-context.ts';

/** Given to a joiner: enough for one to be alive, few enough to try in turn. */
const MOST_SEEDS = 3;
const KEY_BYTES = 32;

export interface Remembered {
  readonly ringId: string;
  readonly position: number;
}

/**
 * Waits for this node's place: looks at its own row, first often, then rarely; when nobody has made one for a while
 * (the launch event was lost, or its Lambda is down) it claims a place with the same code the Lambda runs.
 */
export async function awaitAssignment(
  context: MembershipContext,
  options: { readonly signal: AbortSignal; readonly remembered: Remembered | undefined },
): Promise<Assignment> {
  const { timing, log } = context;
  const { signal, remembered } = options;
  const startedMs = performance.now();
  let pauseMs = timing.rowPollFirstMs;
  let isChecked = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      const isPatient = performance.now() - startedMs < timing.selfClaimAfterMs;
      const assignment = await lookOnce(context, { remembered, isPatient });
      const hasMoved = assignment?.role === 'joiner' && !isChecked && (await hasBetterPlace(context));
      isChecked ||= assignment !== undefined;
      if (hasMoved) continue;
      if (assignment !== undefined) return assignment;
    } catch (error) {
      if (error instanceof ChordfsError && error.code === 'INSTANCE_GIVEN_UP') throw error;
      log('warn', 'no assignment yet', { error: String(error) });
    }
    await sleep(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 1.5, timing.rowPollLongestMs);
  }
}

/** One look at the own row: its assignment if it can be acted on now, a claim if nobody has made one. */
export async function lookOnce(
  context: MembershipContext,
  { remembered, isPatient }: { readonly remembered: Remembered | undefined; readonly isPatient: boolean },
): Promise<Assignment | undefined> {
  const { store, stage, identity } = context;
  const item = await store.get(memberKey(stage, identity.instanceId));
  const row = item === undefined ? undefined : parseMember(item);
  if (row !== undefined && isTerminal(row.state)) {
    throw new ChordfsError('INSTANCE_GIVEN_UP', { instanceId: identity.instanceId, state: row.state });
  }
  if (row === undefined && isPatient) return undefined;
  const meta = parseMeta(await store.get(metaKey(stage)));
  const assignment = row === undefined ? undefined : await assignmentOf(context, { row, meta, remembered });
  if (assignment !== undefined) return assignment;
  const isPlaced = row?.ringId === meta.ringId && row.position !== undefined;
  // Placed in the present ring, and yet not to be used: its ring is not up, or has nobody to ask. That takes time.
  if (isPlaced) return undefined;
  await claim(context);
  return undefined;
}

async function claim(context: MembershipContext): Promise<void> {
  const { identity } = context;
  const result = await claimPlace(claimOptions(context, 'claimed by the node itself'));
  if (result.kind === 'refused') {
    throw new ChordfsError('INSTANCE_GIVEN_UP', { instanceId: identity.instanceId, state: result.state });
  }
  await publishClaim(context);
}

/** Whether the place given at launch has been exchanged for a better one: bytes move while a machine boots. */
async function hasBetterPlace(context: MembershipContext): Promise<boolean> {
  const result = await recheckPlace(claimOptions(context, 'a better place at admission'));
  if (result === 'kept') return false;
  await publishClaim(context);
  return true;
}

function claimOptions(
  { store, stage, identity, timing, now }: MembershipContext,
  cause: string,
): ClaimOptions {
  return {
    ...{ store, stage, timing, now, cause },
    instance: identity,
    newRingId: randomUUID,
    source: 'chordfs.node',
    correlationId: `self-${identity.instanceId}`,
  };
}

async function publishClaim(context: MembershipContext): Promise<void> {
  for (const key of claimKeys(context.stage, context.identity.instanceId)) await context.publish(key);
}

/** What the row says, if it can be acted on now. */
async function assignmentOf(
  context: MembershipContext,
  found: { readonly row: MemberRecord; readonly meta: RingMeta; readonly remembered: Remembered | undefined },
): Promise<Assignment | undefined> {
  const { row, meta, remembered } = found;
  const { ringId, position, epoch } = row;
  if (ringId === undefined || position === undefined || ringId !== meta.ringId) return undefined;
  const place = { position, ringId, epoch };
  const isCreator = row.role === 'creator' && meta.creator === row.instanceId && meta.epoch === epoch;
  if (isCreator && (row.state === 'ASSIGNED' || row.state === 'JOINING')) {
    return { role: 'creator', ...place, seeds: [], clusterKey: await makeClusterKey(context, ringId) };
  }
  if (meta.status !== 'ACTIVE') return undefined;
  const clusterKey = await readClusterKey(context, ringId);
  if (clusterKey === undefined) return undefined;
  const isRemembered = remembered?.ringId === ringId && remembered.position === position;
  if (isRemembered && (row.state === 'ACTIVE' || row.state === 'LEAVING')) {
    return {
      role: 'resumed',
      ...place,
      seeds: await contacts(context, ringId, Number.POSITIVE_INFINITY),
      clusterKey,
    };
  }
  const seeds = await contacts(context, ringId, MOST_SEEDS);
  return seeds.length === 0 ? undefined : { role: 'joiner', ...place, seeds, clusterKey };
}

/** Live ACTIVE members but this one: other zones first, then the freshest heartbeats. LEAVING ones help nobody long. */
export async function contacts(
  { store, stage, identity }: MembershipContext,
  ringId: string,
  most: number,
): Promise<Assignment['seeds']> {
  const live = await readLiveMembers(store, stage, ringId);
  return live
    .filter(({ record }) => record.state === 'ACTIVE' && record.instanceId !== identity.instanceId)
    .sort(
      (a, b) =>
        Number(a.member.availabilityZone === identity.availabilityZone) -
          Number(b.member.availabilityZone === identity.availabilityZone) ||
        (b.record.heartbeatMs ?? 0) - (a.record.heartbeatMs ?? 0),
    )
    .slice(0, most)
    .map(({ member: { phase: _, ...member } }) => member);
}

/** Puts the ring's secret into the table unless it has one. */
export async function keepClusterKey(
  context: MembershipContext,
  { ringId, clusterKey }: Pick<Assignment, 'ringId' | 'clusterKey'>,
): Promise<void> {
  const secret = Buffer.from(clusterKey).toString('base64');
  await context.store.write(
    update(clusterKeyItem(context, ringId), { set: { secret, atMs: context.now() } }, [
      { attribute: 'pk', is: 'absent' },
    ]),
  );
}

/** The ring's secret, made by its creator; whichever of two writes came first is the key. */
async function makeClusterKey(context: MembershipContext, ringId: string): Promise<Uint8Array> {
  await keepClusterKey(context, { ringId, clusterKey: randomBytes(KEY_BYTES) });
  const key = await readClusterKey(context, ringId);
  if (key === undefined) throw new ChordfsError('PEER_UNREACHABLE', { service: 'member table' });
  return key;
}

async function readClusterKey(context: MembershipContext, ringId: string): Promise<Uint8Array | undefined> {
  const secret = (await context.store.get(clusterKeyItem(context, ringId)))?.['secret'];
  const key = typeof secret === 'string' ? Buffer.from(secret, 'base64') : undefined;
  return key?.length === KEY_BYTES ? new Uint8Array(key) : undefined;
}

function clusterKeyItem({ stage }: MembershipContext, ringId: string) {
  return { pk: ringPartition(stage), sk: `${KEY_PREFIX}${ringId}` };
}
