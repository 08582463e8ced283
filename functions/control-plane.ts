import type { RingMeta } from '../domain/ring-meta.ts';
import {
  type EventSink,
  publishEvent,
  publishOutbox,
  type ScalingDetail,
  type ScalingEvent,
} from '../domain/scaling-log.ts';
import type { ItemKey, ItemStore } from '../domain/table-writes.ts';
import type { Timing } from '../domain/timing.ts';
import { log } from './log.ts';

/** What every control-plane function works with. */
export interface ControlPlane {
  readonly stage: string;
  readonly timing: Timing;
  readonly store: ItemStore;
  readonly bus: EventSink;
  readonly now: () => number;
}

export type EventFacts = Pick<ScalingEvent, 'id' | 'detailType'> &
  Omit<ScalingDetail, 'stage' | 'ringId' | 'epoch'>;

/** An event of the scaling log, told by the control plane. */
export function controlEvent(
  { stage, now }: Pick<ControlPlane, 'stage' | 'now'>,
  ring: Pick<RingMeta, 'ringId' | 'epoch'>,
  { id, detailType, ...detail }: EventFacts,
): ScalingEvent {
  const { ringId, epoch } = ring;
  return {
    id,
    source: 'chordfs.control',
    detailType,
    atMs: now(),
    detail: { stage, ringId, epoch, ...detail },
  };
}

/**
 * Sends what the outboxes hold. A bus that is away is no reason to fail the transition that has already happened:
 * the events stay where they are, and the reconciler sends them.
 */
export async function publishQuietly(plane: ControlPlane, keys: readonly ItemKey[]): Promise<void> {
  for (const key of keys) {
    try {
      await publishOutbox(plane, key);
    } catch (error) {
      log('warn', 'scaling log not sent yet', { sk: key.sk, error: String(error) });
    }
  }
}

/** Records and sends an event that no row's change carries. */
export async function publishDecision(plane: ControlPlane, event: ScalingEvent): Promise<void> {
  try {
    await publishEvent(plane, event);
  } catch (error) {
    log('warn', 'scaling log not sent yet', { eventId: event.id, error: String(error) });
  }
}
