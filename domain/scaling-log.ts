import {
  type Attribute,
  type ItemKey,
  type ItemStore,
  logPartition,
  type StoredItem,
  type TableWrite,
  update,
} from './table-writes.ts';
import type { Timing } from './timing.ts';

/**
 * The scaling log: every decision and every membership change, as an event on the stage's own bus, with cause,
 * before and after.
 *
 * Outbox: the event is appended to the very item whose change it reports, in the same conditional write, so there is
 * never a change without its event nor an event without its change. Afterwards `publish` copies it to a LOG row,
 * sends it and strikes it out. Whoever dies between two of these steps leaves an event that the reconciler sends.
 */
export const DETAIL_TYPES = [
  'Member Assigned',
  'Member Joined',
  'Member Leaving',
  'Member Left',
  'Member Lost',
  'Join Failed',
  'Ring Created',
  'Ring Reset',
  'Scale Out Requested',
  'Scale Out Skipped',
  'Scale Out Failed',
  'Scale In Requested',
  'Lifecycle Action Completed',
  'Instance Refresh',
  'Drift Repaired',
  'Ring Split',
  'Member Silent',
] as const;
export type DetailType = (typeof DETAIL_TYPES)[number];

/** Who decided: the control plane or a member. Roles are limited to what they may say, so it is not a label only. */
export const EVENT_SOURCES = ['chordfs.control', 'chordfs.node'] as const;
export type EventSource = (typeof EVENT_SOURCES)[number];

/** A type, not an interface, so that it can be stored as an attribute. */
export type ScalingEvent = {
  /** Unique and derived from what it reports: a repeated transition yields the same id. */
  readonly id: string;
  readonly source: EventSource;
  readonly detailType: DetailType;
  /** When it was decided, ms since the epoch, by the writer's clock. */
  readonly atMs: number;
  readonly detail: ScalingDetail;
};

export type ScalingDetail = {
  readonly stage: string;
  readonly ringId: string;
  readonly epoch: number;
  readonly instanceId?: string;
  /** Why, for a person: the AWS event, the alarm, the reconciler's finding. */
  readonly cause: string;
  /** Ties together what one trigger caused: activity id, alarm timestamp, lifecycle token. */
  readonly correlationId: string;
  readonly before: { readonly [name: string]: Attribute };
  readonly after: { readonly [name: string]: Attribute };
};

/** The attribute of META and member rows that holds events not published yet. */
export const OUTBOX = 'outbox';
/** The stage's bus, as a publisher needs it. */
export interface EventSink {
  /** The sources in whose name this sender's role lets it speak. */
  readonly sources: readonly EventSource[];
  /** Sends one event to the stage's bus. Throws when it was not accepted. */
  put(event: ScalingEvent): Promise<void>;
}

/** LOG rows sort by time, then id. */
function logKey(event: ScalingEvent): ItemKey {
  return { pk: logPartition(event.detail.stage), sk: `${new Date(event.atMs).toISOString()}#${event.id}` };
}

/** Who sends, and with what patience. */
export interface Publisher {
  readonly store: ItemStore;
  readonly bus: EventSink;
  readonly timing: Pick<Timing, 'keepHistoryMs' | 'outboxGraceMs'>;
  readonly now: () => number;
}

/**
 * Claims the sending of an event: puts its LOG row, or takes over one whose sender has been silent for too long.
 * Several find the same event in an outbox at once; only the one whose claim is written sends it.
 */
function claimSending(event: ScalingEvent, { timing, now }: Pick<Publisher, 'timing' | 'now'>): TableWrite {
  const nowMs = now();
  return update(
    logKey(event),
    {
      set: {
        event,
        published: false,
        sendingUntilMs: nowMs + timing.outboxGraceMs,
        ttl: Math.ceil((event.atMs + timing.keepHistoryMs) / 1000),
      },
    },
    [
      {
        any: [
          [{ attribute: 'pk', is: 'absent' }],
          [
            { attribute: 'published', is: '=', value: false },
            { attribute: 'sendingUntilMs', is: '<', value: nowMs },
          ],
        ],
      },
    ],
  );
}

function markPublished(event: ScalingEvent): TableWrite {
  return update(logKey(event), { set: { published: true } }, [{ attribute: 'pk', is: 'present' }]);
}

/** Strikes the first event out of an item's outbox, if it is still this one. */
function strikeOut(key: ItemKey, event: ScalingEvent): TableWrite {
  return {
    kind: 'update',
    key,
    updateExpression: 'REMOVE #outbox[0]',
    conditionExpression: '#outbox[0].#id = :id',
    names: { '#outbox': OUTBOX, '#id': 'id' },
    values: { ':id': event.id },
  };
}

/** The events in an item's outbox, oldest first. What is not an event is left alone. */
function outboxOf(item: StoredItem): readonly ScalingEvent[] {
  const outbox = item[OUTBOX];
  return Array.isArray(outbox) ? outbox.filter(isScalingEvent) : [];
}

export function isScalingEvent(value: unknown): value is ScalingEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { id, source, detailType, atMs, detail } = value as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    EVENT_SOURCES.some((known) => known === source) &&
    DETAIL_TYPES.some((known) => known === detailType) &&
    typeof atMs === 'number' &&
    typeof detail === 'object' &&
    detail !== null &&
    typeof (detail as Record<string, unknown>)['stage'] === 'string'
  );
}

/**
 * Sends one event, unless it was sent or somebody is at it. `inFlight`: another has claimed it and not finished yet;
 * if that one died, the reconciler sends it later. `notOurs`: the sender may not speak for whoever decided it, and
 * does not claim it either, which would only keep those who may from sending it. Throws when the bus is away; the
 * claim then runs out by itself.
 */
export async function publishEvent(
  publisher: Publisher,
  event: ScalingEvent,
): Promise<'published' | 'inFlight' | 'notOurs'> {
  const { store, bus } = publisher;
  if (!bus.sources.includes(event.source)) return 'notOurs';
  if (!(await store.write(claimSending(event, publisher)))) {
    return (await store.get(logKey(event)))?.['published'] === true ? 'published' : 'inFlight';
  }
  await bus.put(event);
  await store.write(markPublished(event));
  return 'published';
}

/**
 * Publishes everything in an item's outbox, in order. Safe to repeat and to run many times at once: an event is sent
 * again only when its sender died between sending and saying so. Throws when the bus is away; nothing is lost then.
 */
export async function publishOutbox(publisher: Publisher, key: ItemKey): Promise<void> {
  const item = await publisher.store.get(key);
  for (const event of item === undefined ? [] : outboxOf(item)) {
    // Later ones wait for earlier ones, so that the log keeps the order of what happened to the item.
    if ((await publishEvent(publisher, event)) !== 'published') return;
    await publisher.store.write(strikeOut(key, event));
  }
}
