import { claimGenesis, decideGenesis } from './genesis.ts';
import { formatIdentifier, type Identifier, parseIdentifier } from './identifier.ts';
import { isPlaceStillGood, type PlacesSeen, placeFor } from './joiner-place.ts';
import {
  type InstanceFacts,
  isTerminal,
  type MemberRecord,
  memberKey,
  parseMember,
  registerPending,
  transition,
} from './member-record.ts';
import { choosePosition } from './placement.ts';
import { metaKey, parseMeta, type RingMeta, updateMeta } from './ring-meta.ts';
import type { ScalingEvent } from './scaling-log.ts';
import {
  type ItemKey,
  type ItemStore,
  NODE_PREFIX,
  POSITION_PREFIX,
  remove,
  ringPartition,
  type StoredItem,
  type TableWrite,
  update,
} from './table-writes.ts';
import type { Timing } from './timing.ts';

/**
 * A place on the ring for one instance: the same code in the launch Lambda, in the reconciler and in a node that
 * nobody has assigned. It is a sequence of conditional writes on one item each, so any two of them may run at once
 * and any one may die anywhere:
 *
 * 1. the row PENDING, if absent;
 * 2. no ring: the genesis claim on META. A ring: META.version + 1 with the chosen position in the same write, which
 *    orders all claims, so that the next claimant sees this one's position whether or not the following are done;
 * 3. the position claim POS#, if free;
 * 4. the row PENDING -> ASSIGNED.
 *
 * Dying after 2 costs nothing, after 3 leaves a position that the reconciler frees.
 */
export type ClaimResult =
  | {
      readonly kind: 'assigned';
      readonly role: 'creator' | 'joiner';
      readonly position: Identifier;
      readonly ringId: string;
      readonly epoch: number;
    }
  /** Somebody else is forming the ring, or it is being torn down: ask again later. */
  | { readonly kind: 'wait' }
  /** The row is in a terminal state: this instance will never be a member. */
  | { readonly kind: 'refused'; readonly state: MemberRecord['state'] };

export interface ClaimOptions {
  readonly store: ItemStore;
  readonly stage: string;
  readonly instance: InstanceFacts;
  readonly launchToken?: string | undefined;
  readonly timing: Timing;
  readonly now: () => number;
  /** A new uuid, used as the ring's id if this claim founds one. */
  readonly newRingId: () => string;
  readonly source: ScalingEvent['source'];
  readonly cause: string;
  readonly correlationId: string;
}

/** Everything a claim is decided on, read consistently, META first: its version guards what is read after it. */
interface Look {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly positions: readonly PositionClaim[];
  /** The claim last ordered through META; its POS# item may not be there yet. */
  readonly lastClaim: Pick<PositionClaim, 'position' | 'instanceId'> | undefined;
}

export interface PositionClaim {
  readonly position: Identifier;
  readonly instanceId: string;
  readonly ringId: string;
  readonly atMs: number;
}

/** Conflicts with other claimants are settled by trying again on a fresh look; more than this many means trouble. */
const MOST_TRIES = 8;

export function positionKey(stage: string, position: Identifier): ItemKey {
  return { pk: ringPartition(stage), sk: `${POSITION_PREFIX}${formatIdentifier(position)}` };
}

export function parsePosition(item: StoredItem): PositionClaim[] {
  const { sk, instanceId, ringId, atMs } = item;
  const position = typeof sk === 'string' ? parseIdentifier(sk.slice(POSITION_PREFIX.length)) : undefined;
  if (position === undefined || typeof instanceId !== 'string' || typeof ringId !== 'string') return [];
  return [{ position, instanceId, ringId, atMs: typeof atMs === 'number' ? atMs : 0 }];
}

/** @throws when the table is unreachable, or after MOST_TRIES lost races in a row; safe to repeat from the start. */
export async function claimPlace(options: ClaimOptions): Promise<ClaimResult> {
  const { store, stage, instance, now } = options;
  await store.write(
    registerPending({
      ...instance,
      stage,
      nowMs: now(),
      ...(options.launchToken === undefined ? {} : { launchToken: options.launchToken }),
    }),
  );
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const result = await claimOnce(options, await look(options));
    if (result !== 'again') return result;
  }
  throw new Error(`no place for ${instance.instanceId} after ${MOST_TRIES} tries: too many claims at once`);
}

async function look({ store, stage }: ClaimOptions): Promise<Look> {
  const pk = ringPartition(stage);
  const item = await store.get(metaKey(stage));
  const members = await store.list(pk, NODE_PREFIX);
  const positions = await store.list(pk, POSITION_PREFIX);
  const meta = parseMeta(item);
  return {
    meta,
    members: members.flatMap((row) => parseMember(row) ?? []),
    positions: positions.flatMap(parsePosition).filter(({ ringId }) => ringId === meta.ringId),
    lastClaim: parseLastClaim(item),
  };
}

function parseLastClaim(item: StoredItem | undefined): Look['lastClaim'] {
  const { lastClaimed, lastClaimant } = item ?? {};
  const position = typeof lastClaimed === 'string' ? parseIdentifier(lastClaimed) : undefined;
  return position === undefined || typeof lastClaimant !== 'string'
    ? undefined
    : { position, instanceId: lastClaimant };
}

async function claimOnce(options: ClaimOptions, seen: Look): Promise<ClaimResult | 'again'> {
  const { instance, now } = options;
  const own = seen.members.find(({ instanceId }) => instanceId === instance.instanceId);
  // The row was written just now with a consistent table: absent means it expired in between, so look again.
  if (own === undefined) return 'again';
  if (isTerminal(own.state) || own.state === 'LEAVING') return { kind: 'refused', state: own.state };
  const { meta } = seen;
  if (own.state !== 'PENDING') {
    if (own.ringId === meta.ringId && own.position !== undefined && own.role !== undefined) {
      const { role, position, epoch } = own;
      return { kind: 'assigned', role, position, ringId: meta.ringId, epoch };
    }
    // The table has forgotten the ring that this member serves: its heartbeat puts that right.
    if (own.epoch > meta.epoch) return { kind: 'wait' };
    await returnToPending(options, own);
    return 'again';
  }
  const decision = decideGenesis({ ...seen, instanceId: instance.instanceId, nowMs: now() });
  switch (decision.kind) {
    case 'wait':
      return { kind: 'wait' };
    case 'mine':
      return await assignCreator(options, seen);
    case 'claim': {
      // Won or lost, the next look tells how it stands: `mine`, or somebody else's.
      await options.store.write(genesisWrite(options, meta, decision.why));
      return 'again';
    }
    case 'join':
      return await assignJoiner(options, seen);
  }
}

/**
 * A last look before the newcomer is admitted: minutes have passed since its place was chosen. One that no longer
 * relieves whom it should is given back, and a better one claimed. `kept`: nothing was written.
 */
export async function recheckPlace(options: ClaimOptions): Promise<'kept' | ClaimResult> {
  const { store, stage, instance } = options;
  const seen = await look(options);
  const { meta, members } = seen;
  const own = members.find(({ instanceId }) => instanceId === instance.instanceId);
  if (own?.state !== 'ASSIGNED' || own.position === undefined || own.ringId !== meta.ringId) return 'kept';
  if (own.role !== 'joiner' || isPlaceStillGood(own.position, instance, placesOf(seen, instance)))
    return 'kept';
  if (!(await returnToPending(options, own))) return 'kept';
  await store.write(
    remove(positionKey(stage, own.position), [
      { attribute: 'instanceId', is: '=', value: instance.instanceId },
    ]),
  );
  return await claimPlace(options);
}

/** A place in a ring that is no more is given back; the claim then starts over. */
async function returnToPending(options: ClaimOptions, own: MemberRecord): Promise<boolean> {
  return await options.store.write(
    transition({
      stage: options.stage,
      instanceId: own.instanceId,
      to: 'PENDING',
      nowMs: options.now(),
      remove: ['position', 'ringId', 'role', 'deadlineMs'],
      conditions: own.ringId === undefined ? [] : [{ attribute: 'ringId', is: '=', value: own.ringId }],
    }),
  );
}

function genesisWrite(options: ClaimOptions, meta: RingMeta, why: string): TableWrite {
  const { stage, instance, now, timing } = options;
  const ringId = options.newRingId();
  const nowMs = now();
  const event = claimEvent(options, {
    id: `ring-reset-${meta.epoch + 1}`,
    detailType: 'Ring Reset',
    ring: { ringId, epoch: meta.epoch + 1 },
    cause: `${why}: ${options.cause}`,
    before: { ringId: meta.ringId, status: meta.status },
    after: { ringId, status: 'CREATING' },
  });
  return claimGenesis({
    stage,
    meta,
    instanceId: instance.instanceId,
    ringId,
    nowMs,
    leaseMs: timing.creatorLeaseMs,
    event: meta.status === 'NONE' ? undefined : event,
  });
}

async function assignCreator(options: ClaimOptions, { meta }: Look): Promise<ClaimResult | 'again'> {
  const position = choosePosition({ members: [] });
  if (position === undefined) return { kind: 'wait' };
  await options.store.write(claimPosition(options, position, meta));
  return await assignRow(options, { role: 'creator', position, meta });
}

async function assignJoiner(options: ClaimOptions, seen: Look): Promise<ClaimResult | 'again'> {
  const { meta, positions } = seen;
  const { instance } = options;
  const own = positions.find(({ instanceId }) => instanceId === instance.instanceId);
  // Whoever claimed it for this instance died before the row was written: finish that, rather than claim a second.
  if (own !== undefined) return await assignRow(options, { role: 'joiner', position: own.position, meta });
  const position = placeFor(instance, placesOf(seen, instance));
  if (position === undefined) return { kind: 'wait' };
  const isOrdered = await options.store.write(
    updateMeta({
      stage: options.stage,
      set: { lastClaimed: formatIdentifier(position), lastClaimant: instance.instanceId },
      add: { version: 1 },
      conditions: [
        { attribute: 'version', is: '=', value: meta.version },
        { attribute: 'ringId', is: '=', value: meta.ringId },
      ],
    }),
  );
  if (!isOrdered || !(await options.store.write(claimPosition(options, position, meta)))) return 'again';
  return await assignRow(options, { role: 'joiner', position, meta });
}

/**
 * What places are chosen on: with the claims whose instances have no row with a place yet. What the newcomer itself has
 * claimed before and given back stands in nobody's way.
 */
function placesOf(
  { meta, members, positions, lastClaim }: Look,
  newcomer: Pick<InstanceFacts, 'instanceId'>,
): PlacesSeen {
  const pending = new Set(
    members.filter(({ state }) => state === 'PENDING').map(({ instanceId }) => instanceId),
  );
  const claims = [...positions, ...(lastClaim === undefined ? [] : [lastClaim])].filter(
    ({ instanceId }) => instanceId !== newcomer.instanceId,
  );
  return {
    ringId: meta.ringId,
    members,
    claims: claims.filter(({ instanceId }) => pending.has(instanceId)).map(({ position }) => position),
    taken: claims.map(({ position }) => position),
  };
}

/** By epoch, which only grows: a claimant of an earlier ring that wakes up late takes nobody's position away. */
function claimPosition(options: ClaimOptions, position: Identifier, { ringId, epoch }: RingMeta): TableWrite {
  const { instanceId } = options.instance;
  return update(
    positionKey(options.stage, position),
    { set: { instanceId, ringId, epoch, atMs: options.now() } },
    [
      {
        any: [
          [{ attribute: 'pk', is: 'absent' }],
          [{ attribute: 'epoch', is: '<', value: epoch }],
          [
            { attribute: 'instanceId', is: '=', value: instanceId },
            { attribute: 'epoch', is: '=', value: epoch },
          ],
        ],
      },
    ],
  );
}

async function assignRow(
  options: ClaimOptions,
  place: { readonly role: 'creator' | 'joiner'; readonly position: Identifier; readonly meta: RingMeta },
): Promise<ClaimResult | 'again'> {
  const { stage, instance, now, timing } = options;
  const { role, position, meta } = place;
  const { ringId, epoch } = meta;
  const nowMs = now();
  const written = await options.store.write(
    transition({
      stage,
      instanceId: instance.instanceId,
      to: 'ASSIGNED',
      nowMs,
      set: {
        role,
        position: formatIdentifier(position),
        ringId,
        epoch,
        deadlineMs: nowMs + timing.assignedDeadlineMs,
      },
      event: claimEvent(options, {
        // With the position: a place that was exchanged before admission is a second assignment.
        id: `assigned-${instance.instanceId}-${epoch}-${formatIdentifier(position)}`,
        detailType: 'Member Assigned',
        ring: { ringId, epoch },
        before: { state: 'PENDING' },
        after: { state: 'ASSIGNED', role, position: formatIdentifier(position) },
      }),
    }),
  );
  return written ? { kind: 'assigned', role, position, ringId, epoch } : 'again';
}

function claimEvent(
  options: ClaimOptions,
  facts: {
    readonly id: string;
    readonly detailType: ScalingEvent['detailType'];
    readonly ring: { readonly ringId: string; readonly epoch: number };
    readonly cause?: string;
    readonly before: ScalingEvent['detail']['before'];
    readonly after: ScalingEvent['detail']['after'];
  },
): ScalingEvent {
  return {
    id: facts.id,
    source: options.source,
    detailType: facts.detailType,
    atMs: options.now(),
    detail: {
      stage: options.stage,
      ...facts.ring,
      instanceId: options.instance.instanceId,
      cause: facts.cause ?? options.cause,
      correlationId: options.correlationId,
      before: facts.before,
      after: facts.after,
    },
  };
}

/** The keys whose outbox a claim may have filled. */
export function claimKeys(stage: string, instanceId: string): readonly ItemKey[] {
  return [metaKey(stage), memberKey(stage, instanceId)];
}
