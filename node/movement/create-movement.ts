import { setMaxListeners } from 'node:events';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { type Identifier, identifier, inArc } from '../../domain/identifier.ts';
import type { MemberPhase } from '../../domain/member.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import { pause } from '../deadline.ts';
import type { DataPlane } from '../files/data-plane.ts';
import { Slots } from '../files/slots.ts';
import type { Ring } from '../ring/ring.ts';
import type { Arc, Store } from '../store/store.ts';
import { ArcSync } from './arc-sync.ts';
import { type HeldArc, heldArcs, SyncedArcs } from './arcs.ts';
import { Exposure } from './exposure.ts';
import { GARBAGE_LIMITS, Garbage, type GarbageLimits } from './garbage.ts';
import { HandOver } from './hand-over.ts';
import { MOVEMENT_TIMINGS, type Movement, type MovementTimings } from './movement.ts';
import { MovementLoop } from './movement-loop.ts';
import { Nudges } from './nudges.ts';
import { Pacer } from './pacer.ts';
import { ProgressMeter } from './progress.ts';
import { Repair } from './repair.ts';
import { Transfer } from './transfer.ts';

export interface CreateMovementOptions {
  readonly ring: Ring;
  readonly store: Store;
  readonly plane: Pick<DataPlane, 'calls' | 'placement' | 'tenure' | 'tracker'>;
  readonly timings?: Partial<MovementTimings>;
  readonly garbageLimits?: Partial<GarbageLimits>;
  /** Told of errors that are bugs; the work they interrupted is tried again. */
  readonly onBug: (error: unknown) => void;
}

const RETRY_MS = 100;
const SEES_WAIT_MS = 3_000;
const PARALLEL_CALLS = 32;
/** A joiner compares again while comparisons still find something; under steady writes they always may. */
const MAX_FINAL_PASSES = 3;
/** How long those who come after may make no progress of their own before a leaver pushes. */
const PULL_PATIENCE_MS = 750;
/** Names remembered for the case that this node leaves first. Whatever is beyond it, the other replicas have. */
const MAX_LEFT_HERE = 10_000;

export function createMovement(options: CreateMovementOptions): Movement {
  return new NodeMovement(options);
}

class NodeMovement implements Movement {
  readonly #options: CreateMovementOptions;
  readonly #controller = new AbortController();
  readonly #synced = new SyncedArcs();
  /** Own arcs that were compared since this node became their owner. */
  readonly #verified = new SyncedArcs();
  readonly #progress = new ProgressMeter(() => performance.now());
  readonly #arcSync: ArcSync;
  readonly #handOver: HandOver;
  readonly #garbage: Garbage;
  readonly #exposure: Exposure;
  readonly #nudges: Nudges;
  readonly #loop: MovementLoop;
  readonly #timings: MovementTimings;
  /** Records of other members' arcs that this node took in a replica's stead and may not have brought home yet. */
  readonly #leftHere = new Set<string>();
  #running: Promise<unknown> = Promise.resolve();
  #stopListening: () => void = () => undefined;

  constructor(options: CreateMovementOptions) {
    this.#options = options;
    const { ring, store, plane, onBug } = options;
    const { calls, placement, tenure, tracker } = plane;
    const { signal } = this.#controller;
    const progress = this.#progress;
    this.#timings = { ...MOVEMENT_TIMINGS, ...options.timings };
    this.#exposure = new Exposure({ ring, store, onBug });
    const pacer = new Pacer(
      () => tracker.isServingClients,
      () => performance.now(),
    );
    const onRecord = (name: string) => this.#exposure.recordChanged(name);
    const transfer = new Transfer({ store, calls, pacer, progress, onRecord });
    this.#arcSync = new ArcSync({ store, transfer, progress });
    this.#handOver = new HandOver({ store, transfer, progress });
    const limits = { ...GARBAGE_LIMITS, ...options.garbageLimits };
    this.#garbage = new Garbage({ ring, store, calls, placement, tenure, limits, wallClock: Date.now });
    this.#nudges = new Nudges({ ring, calls, signal });
    new Repair({ store, calls, placement, transfer, signal, onUnrepaired: () => this.#loop.wake() });
    this.#loop = new MovementLoop({
      ...{ ring, store, progress, signal, onBug, arcSync: this.#arcSync, handOver: this.#handOver },
      ...{
        synced: this.#synced,
        verified: this.#verified,
        timings: this.#timings,
        now: () => performance.now(),
      },
      onPass: (held) => {
        this.#exposure.ownArcsChanged(held.filter((each) => this.#isOwn(each)).map(({ arc }) => arc));
        for (const name of this.#leftHere)
          if (store.digestRecords(positionOf(name)).count === 0) this.#leftHere.delete(name);
      },
    });
    // Every transfer under way listens to it; how many that may be is the pacer's affair.
    setMaxListeners(0, signal);
    // Registered before the ring can ask: an arc must never be taken over without the check.
    ring.beforeTakeOver((arc, checkSignal) => this.#checkTakeOver(arc, checkSignal));
  }

  start(): void {
    const { ring } = this.#options;
    this.#stopListening = ring.onChange((snapshot) => this.#loop.ringChanged(snapshot));
    this.#loop.ringChanged(ring.snapshot());
    this.#running = Promise.all([this.#loop.run(), this.#collectPeriodically()]);
  }

  async stop(): Promise<void> {
    this.#stopListening();
    this.#controller.abort(new ChordfsError('NODE_DRAINING', { reason: 'movement stopped' }));
    await this.#running;
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    for (;;) {
      const snapshot = this.#options.ring.snapshot();
      const held = heldArcs(snapshot);
      const isReady = (each: HeldArc) => (this.#isOwn(each) ? this.#verified : this.#synced).covers(each.arc);
      if (held.length > 0 && held.every(isReady)) return;
      await pause(RETRY_MS, signal);
    }
  }

  async syncAsJoiner(signal: AbortSignal): Promise<void> {
    setMaxListeners(0, signal);
    await this.#seenByAll('joining', signal);
    for (let round = 0; round < MAX_FINAL_PASSES; round++) {
      const movedAnything = await this.#loop.completePass(signal);
      if (!movedAnything) break;
    }
    await this.#options.ring.enter('active', { signal });
  }

  async drain(signal: AbortSignal): Promise<void> {
    setMaxListeners(0, signal);
    const { ring } = this.#options;
    if (ring.snapshot().self.phase === 'active') await ring.enter('draining', { signal });
    await this.#seenByAll('draining', signal);
    for (;;) {
      try {
        await this.#handOverAll(signal);
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ChordfsError)) throw error;
      }
      await pause(RETRY_MS, signal);
    }
    await ring.enter('left', { signal });
  }

  progress() {
    return this.#progress.read();
  }

  async collectGarbage(signal: AbortSignal): Promise<number> {
    const { ring } = this.#options;
    let removedCount = 0;
    for (const each of heldArcs(ring.snapshot())) {
      if (this.#isOwn(each) && ring.owns(each.arc.to))
        removedCount += await this.#garbage.collect(each.arc, signal);
    }
    return removedCount;
  }

  #isOwn({ current: [owner] }: HeldArc): boolean {
    return owner !== undefined && this.#options.plane.calls.isSelf(owner);
  }

  isSynced(key: Identifier): boolean {
    return this.#synced.includes(key);
  }

  maySpeakFor(key: Identifier): boolean {
    return this.#verified.includes(key);
  }

  missed(member: RingMember): void {
    this.#nudges.add(member);
  }

  nudged(): void {
    this.#loop.wake();
  }

  recordStored(name: string): void {
    this.#exposure.recordChanged(name);
    const { calls, placement } = this.#options.plane;
    if (placement.of(hashName(name)).writeSet.some((member) => calls.isSelf(member))) return;
    if (this.#leftHere.size < MAX_LEFT_HERE) this.#leftHere.add(name);
    this.#loop.foreignArrived();
  }

  /** Every other member sees this node in the phase, and no write placed before that is still under way. */
  async #seenByAll(phase: MemberPhase, signal: AbortSignal): Promise<void> {
    const { ring, plane } = this.#options;
    const { instanceId, incarnation } = ring.snapshot().self;
    const confirmed = new Set<string>();
    const request = { instanceId, incarnation, phase, waitMs: SEES_WAIT_MS };
    for (;;) {
      const asked = ring
        .snapshot()
        .members.filter((member) => !plane.calls.isSelf(member) && !confirmed.has(member.instanceId));
      if (asked.length === 0 && ring.snapshot().self.phase === phase) break;
      const slots = new Slots(PARALLEL_CALLS);
      const ask = async (member: RingMember) => {
        const callOptions = { signal, timeoutMs: 3 * SEES_WAIT_MS };
        const { reply } = await plane.calls.call(member, 'sees', request, callOptions);
        if (reply.seen) confirmed.add(member.instanceId);
      };
      await Promise.all(asked.map((member) => slots.run(signal, () => ask(member)).catch(ignoreOperating)));
      signal.throwIfAborted();
      const isDone = asked.every((member) => confirmed.has(member.instanceId));
      // Also with nobody left to ask: this node's own view may not show the phase yet, or never again.
      if (!isDone || asked.length === 0) await pause(RETRY_MS, signal);
    }
    // This node receives uploads too: its own writes under the old view must have ended as well.
    await plane.tracker.writesBeforeNow();
  }

  /** @throws ChordfsError when something could not be confirmed yet. */
  async #handOverAll(signal: AbortSignal): Promise<void> {
    const { ring, plane } = this.#options;
    const { version } = ring.snapshot();
    for (const { arc, next } of heldArcs(ring.snapshot())) {
      const targets = next.filter((member) => !plane.calls.isSelf(member));
      await this.#letThemPull(arc, targets, signal);
      await this.#handOver.confirm({ arc, targets, urgency: 'urgent', signal });
    }
    await this.#giveBackForeign(signal);
    // Whoever joined or died meanwhile changed who must hold what.
    if (ring.snapshot().version !== version)
      throw new ChordfsError('NODE_NOT_READY', { reason: 'the ring changed' });
  }

  /**
   * What was left here in a replica's stead goes as far as it can: the others have it as well, and a replica whose disk
   * is full must not keep this node from leaving.
   */
  async #giveBackForeign(signal: AbortSignal): Promise<void> {
    const { store, plane } = this.#options;
    for (const name of this.#leftHere) {
      // Its position alone: comparing whole arcs of others would bring back to them what they have collected.
      const arc = positionOf(name);
      if (store.digestRecords(arc).count === 0) continue;
      const targets = plane.placement.of(arc.to).next.filter((member) => !plane.calls.isSelf(member));
      await this.#handOver.confirm({ arc, targets, urgency: 'urgent', signal }).catch(ignoreOperating);
      signal.throwIfAborted();
    }
  }

  /**
   * Those who come after pull by themselves; pushing at the same time would move everything twice. Waits while what
   * they lack still shrinks: under steady writes it never becomes nothing.
   */
  async #letThemPull(arc: Arc, targets: readonly RingMember[], signal: AbortSignal): Promise<void> {
    const { plane, store } = this.#options;
    const request = { kind: 'chunks' as const, arcs: [arc] };
    let leastLackingBytes = Number.POSITIVE_INFINITY;
    let shrankAtMs = performance.now();
    while (performance.now() - shrankAtMs < PULL_PATIENCE_MS) {
      const heldBytes = await Promise.all(
        targets.map(async (member) => {
          const { reply } = await plane.calls.call(member, 'digests', request, {
            signal,
            timeoutMs: SEES_WAIT_MS,
          });
          return reply.digests[0]?.sizeBytes ?? 0;
        }),
      );
      const lackingBytes = store.digestChunks(arc).sizeBytes - Math.min(...heldBytes);
      if (lackingBytes <= 0 || targets.length === 0) return;
      if (lackingBytes < leastLackingBytes) shrankAtMs = performance.now();
      leastLackingBytes = Math.min(leastLackingBytes, lackingBytes);
      await pause(RETRY_MS, signal);
    }
  }

  /** Before this node speaks for a dead member's arc: it must know what the arc's other replicas know. */
  async #checkTakeOver(arc: Arc, signal: AbortSignal): Promise<void> {
    setMaxListeners(0, signal);
    const { ring, plane } = this.#options;
    for (;;) {
      // The dead may still be in the view: they are the members that lie in the arc they leave.
      const alive = ring
        .snapshot()
        .members.filter((member) => plane.calls.isSelf(member) || !inArc(member.id, arc.from, arc.to));
      const members = replicasOf(arc.to, alive).current.filter((member) => !plane.calls.isSelf(member));
      try {
        await this.#arcSync.pullRecords({ arc, members, urgency: 'urgent', signal }, false);
        this.#synced.mark(arc);
        this.#verified.mark(arc);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ChordfsError)) throw error;
      }
      await pause(RETRY_MS, signal);
    }
  }

  async #collectPeriodically(): Promise<void> {
    const { signal } = this.#controller;
    while (!signal.aborted) {
      await pause(this.#timings.garbageIntervalMs, signal).catch(() => undefined);
      if (!signal.aborted)
        await this.collectGarbage(signal).catch((error: unknown) => this.#reportBug(error));
    }
  }

  #reportBug(error: unknown): void {
    if (!(error instanceof ChordfsError)) this.#options.onBug(error);
  }
}

function ignoreOperating(error: unknown): void {
  if (!(error instanceof ChordfsError)) throw error;
}

/** Of the names with one identifier, nearly always one. */
function positionOf(name: string): Arc {
  const to = hashName(name);
  return { from: identifier((to - 1) >>> 0), to };
}
