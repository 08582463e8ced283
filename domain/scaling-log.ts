import {
  type Attribute,
  type ItemKey,
  type ItemStore,
  logPartition,
  type StoredItem,
  type TableWrite,
  update,
} from './table-writes.ts';

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
] as const;
export type DetailType = (typeof DETAIL_TYPES)[number];

/** A type, not an interface, so that it can be stored as an attribute. */
export type ScalingEvent = {
  /** Unique and derived from what it reports: a repeated transition yields the same id. */
  readonly id: string;
  readonly source: 'chordfs.control' | 'chordfs.node';
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
/** A LOG row not published yet carries `published: false`. */
export interface EventSink {
  /** Sends one event to the stage's bus. Throws when it was not accepted. */
  put(event: ScalingEvent): Promise<void>;
}

/** LOG rows sort by time, then id. */
export function logKey(event: ScalingEvent): ItemKey {
  return { pk: logPartition(event.detail.stage), sk: `${new Date(event.atMs).toISOString()}#${event.id}` };
}

/** Puts the LOG row unless it is there already. `keepMs`: how long people may read it. */
export function recordEvent(event: ScalingEvent, keepMs: number): TableWrite {
  return update(
    logKey(event),
    { set: { event, published: false, ttl: Math.ceil((event.atMs + keepMs) / 1000) } },
    [{ attribute: 'pk', is: 'absent' }],
  );
}

export function markPublished(event: ScalingEvent): TableWrite {
  return update(logKey(event), { set: { published: true } }, [{ attribute: 'pk', is: 'present' }]);
}

/** Strikes the first event out of an item's outbox, if it is still this one. */
export function strikeOut(key: ItemKey, event: ScalingEvent): TableWrite {
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
export function outboxOf(item: StoredItem): readonly ScalingEvent[] {
  const outbox = item[OUTBOX];
  return Array.isArray(outbox) ? outbox.filter(isScalingEvent) : [];
}

export function isScalingEvent(value: unknown): value is ScalingEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { id, source, detailType, atMs, detail } = value as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    (source === 'chordfs.control' || source === 'chordfs.node') &&
    DETAIL_TYPES.some((known) => known === detailType) &&
    typeof atMs === 'number' &&
    typeof detail === 'object' &&
    detail !== null &&
    typeof (detail as Record<string, unknown>)['stage'] === 'string'
  );
}

/** Records an event that no item's change carries (a decision not to act), then sends it. */
export async function publishEvent(
  store: ItemStore,
  sink: EventSink,
  event: ScalingEvent,
  keepMs: number,
): Promise<void> {
  const isNew = await store.write(recordEvent(event, keepMs));
  if (!isNew && (await store.get(logKey(event)))?.['published'] === true) return;
  await sink.put(event);
  await store.write(markPublished(event));
}

/**
 * Publishes everything in an item's outbox, in order. Safe to repeat and to run twice at once: an event is sent again
 * only when its first sender died between sending and marking. Throws when the bus is away; nothing is lost then.
 */
export async function publishOutbox(
  store: ItemStore,
  sink: EventSink,
  key: ItemKey,
  keepMs: number,
): Promise<number> {
  const item = await store.get(key);
  const events = item === undefined ? [] : outboxOf(item);
  for (const event of events) {
    await publishEvent(store, sink, event, keepMs);
    await store.write(strikeOut(key, event));
  }
  return events.length;
}
