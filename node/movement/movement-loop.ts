import { setMaxListeners } from 'node:events';
import { ChordfsError } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { pause } from '../deadline.ts';
import { Slots } from '../files/slots.ts';
import type { Ring, RingSnapshot } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import type { ArcSync } from './arc-sync.ts';
import { foreignArcs, type HeldArc, heldArcs, type SyncedArcs } from './arcs.ts';
import type { HandOver } from './hand-over.ts';
import type { MovementTimings } from './movement.ts';
import type { Urgency } from './pacer.ts';
import type { ProgressMeter } from './progress.ts';

export interface MovementLoopOptions {
  readonly ring: Ring;
  readonly store: Store;
  readonly arcSync: ArcSync;
  readonly handOver: HandOver;
  readonly synced: SyncedArcs;
  readonly verified: SyncedArcs;
  readonly progress: ProgressMeter;
  readonly timings: MovementTimings;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  readonly onPass: (held: readonly HeldArc[]) => void;
  readonly onBug: (error: unknown) => void;
}

interface Waiter {
  readonly afterPass: number;
  readonly resolve: (movedAnything: boolean) => void;
}

const PARALLEL_ARCS = 3;

/** Compares, pulls and brings home, again and again: at once after a change, rarely while all is well. */
export class MovementLoop {
  readonly #options: MovementLoopOptions;
  #members: readonly RingMember[] = [];
  #incarnation: number | undefined;
  #heldKey = '';
  #pass = new AbortController();
  #isWoken = true;
  #wake: () => void = () => undefined;
  #startedPasses = 0;
  #waiters: Waiter[] = [];
  #changedAtMs: number;
  #deathAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MovementLoopOptions) {
    this.#options = options;
    this.#changedAtMs = options.now();
  }

  ringChanged(snapshot: RingSnapshot): void {
    const { synced, verified, now } = this.#options;
    const present = new Set(snapshot.members.map(({ instanceId }) => instanceId));
    const died = this.#members.filter(
      ({ instanceId, phase }) => phase === 'active' && !present.has(instanceId),
    );
    if (died.length > 0) this.#deathAtMs = now();
    this.#members = snapshot.members;
    this.#changedAtMs = now();
    // A new life of this process in the ring: it missed whatever was written while it was not a member.
    if (snapshot.self.incarnation !== this.#incarnation) synced.forgetAll();
    this.#incarnation = snapshot.self.incarnation;
    const held = heldArcs(snapshot);
    const own = held.filter(({ current }) => current[0]?.instanceId === snapshot.self.instanceId);
    synced.retain(held.map(({ arc }) => arc));
    verified.retain(own.map(({ arc }) => arc));
    const heldKey = held
      .map(({ arc, current }) => `${arc.from}-${arc.to} ${current.map(({ id }) => id).join()}`)
      .join();
    // Copying for an hour by an old view would keep requests waiting that the new one needs answered.
    if (heldKey !== this.#heldKey)
      this.#pass.abort(new ChordfsError('NODE_NOT_READY', { reason: 'the ring changed' }));
    this.#heldKey = heldKey;
    this.wake();
  }

  /** Something of another member's arc was left here in its stead: it is brought home soon. */
  foreignArrived(): void {
    // The next comparisons are near anyway; and started anew by each of many writes, the wait would have no end.
    if (this.#isSettling()) return;
    this.#changedAtMs = this.#options.now();
    this.wake();
  }

  wake(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /** Waits for a complete pass that began after this call; resolves to whether it moved anything. */
  async completePass(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    this.wake();
    return await new Promise((resolve, reject) => {
      const waiter = { afterPass: this.#startedPasses, resolve };
      this.#waiters.push(waiter);
      signal.addEventListener(
        'abort',
        () => {
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }

  /** Runs until the signal fires. Never rejects. */
  async run(): Promise<void> {
    const { signal, timings, progress, onBug } = this.#options;
    let retryMs = timings.firstRetryMs;
    while (!signal.aborted) {
      this.#isWoken = false;
      const pass = ++this.#startedPasses;
      const movedBefore = progress.read();
      progress.comparesAnew();
      const failure = await this.#runPass().then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      if (signal.aborted) return;
      if (failure === undefined) {
        retryMs = timings.firstRetryMs;
        progress.nothingLeft();
        progress.lastFailure = undefined;
        progress.state = 'idle';
        const movedAnything =
          progress.read().bytesMoved + progress.read().filesMoved >
          movedBefore.bytesMoved + movedBefore.filesMoved;
        this.#completed(pass, movedAnything);
        await this.#sleep(this.#idleMs());
        continue;
      }
      progress.state = 'waiting';
      progress.lastFailure = failure.error instanceof ChordfsError ? failure.error.code : 'BUG';
      if (!(failure.error instanceof ChordfsError)) onBug(failure.error);
      await this.#sleep(retryMs);
      retryMs = Math.min(2 * retryMs, timings.maxRetryMs);
    }
  }

  #completed(pass: number, movedAnything: boolean): void {
    const done = this.#waiters.filter(({ afterPass }) => pass > afterPass);
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const { resolve } of done) resolve(movedAnything);
  }

  /** Soon after a change there may be writes that an older view placed, and data to bring home. */
  #idleMs(): number {
    const { timings } = this.#options;
    return this.#isSettling() ? timings.settleMs : timings.idleIntervalMs;
  }

  #isSettling(): boolean {
    const { timings, now } = this.#options;
    return now() - this.#changedAtMs <= 2 * timings.settleMs + timings.foreignDelayMs;
  }

  async #sleep(durationMs: number): Promise<void> {
    if (this.#isWoken) return;
    const { signal } = this.#options;
    const controller = new AbortController();
    const stop = () => controller.abort();
    this.#wake = stop;
    signal.addEventListener('abort', stop, { once: true });
    await pause(durationMs, controller.signal).catch(() => undefined);
    signal.removeEventListener('abort', stop);
    this.#wake = () => undefined;
  }

  async #runPass(): Promise<void> {
    const { signal } = this.#options;
    const pass = new AbortController();
    this.#pass = pass;
    setMaxListeners(0, pass.signal);
    const stop = () => pass.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      signal.throwIfAborted();
      await this.#compareAll(pass.signal);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** @throws the first failure, after everything that could be done was. */
  async #compareAll(signal: AbortSignal): Promise<void> {
    const { ring, synced, verified, progress } = this.#options;
    const snapshot = ring.snapshot();
    const held = heldArcs(snapshot);
    const isJoining = snapshot.self.phase === 'joining';
    const waitMs = isJoining
      ? 0
      : this.#deathAtMs + this.#options.timings.repairDelayMs - this.#options.now();
    const failures: unknown[] = [];
    progress.state = 'comparing';

    // Arcs that this node cannot speak for yet come first: requests are waiting for them.
    const isOwn = ({ current }: HeldArc) => current[0]?.instanceId === snapshot.self.instanceId;
    const isReady = (each: HeldArc) => (isOwn(each) ? verified : synced).covers(each.arc);
    const byNeed = [...held].sort((a, b) => Number(isReady(a)) - Number(isReady(b)));
    await this.#eachArc(byNeed, { failures, signal }, async (each) => {
      const request = this.#request(each, snapshot, signal);
      await this.#options.arcSync.pullRecords(request, waitMs <= 0);
      if (ring.snapshot().version !== snapshot.version) return;
      synced.mark(each.arc);
      if (isOwn(each)) verified.mark(each.arc);
    });
    this.#options.onPass(held);
    if (waitMs > 0) await pause(waitMs, signal);
    progress.state = 'pulling';
    await this.#eachArc(held, { failures, signal }, (each) =>
      this.#options.arcSync.pullChunks(this.#request(each, snapshot, signal)),
    );
    if (failures.length > 0) throw failures[0];
    await this.#bringHome(snapshot, held, signal);
  }

  #request({ arc, current }: HeldArc, { self, members }: RingSnapshot, signal: AbortSignal) {
    const { synced } = this.#options;
    const others = current.filter(({ instanceId }) => instanceId !== self.instanceId);
    // Different arcs begin with different members, so that a newcomer is served by several at once.
    const turn = others.length === 0 ? 0 : members.findIndex(({ id }) => id === arc.to) % others.length;
    const urgency: Urgency = synced.covers(arc) ? 'background' : 'urgent';
    return { arc, members: [...others.slice(turn), ...others.slice(0, turn)], urgency, signal };
  }

  async #eachArc(
    held: readonly HeldArc[],
    { failures, signal }: { readonly failures: unknown[]; readonly signal: AbortSignal },
    visit: (each: HeldArc) => Promise<void>,
  ): Promise<void> {
    const slots = new Slots(PARALLEL_ARCS);
    await Promise.all(
      held.map((each) =>
        slots.run(signal, () => visit(each)).catch((error: unknown) => failures.push(error)),
      ),
    );
    signal.throwIfAborted();
  }

  async #bringHome(snapshot: RingSnapshot, held: readonly HeldArc[], signal: AbortSignal): Promise<void> {
    const { ring, store, handOver, progress, timings, now } = this.#options;
    const { members, self } = snapshot;
    const isStable = members.length > 0 && members.every(({ phase }) => phase === 'active');
    // While members come and go, those who need the data pull it; giving it to them as well would move it twice.
    if (!isStable || now() - this.#changedAtMs < timings.foreignDelayMs || held.length === members.length)
      return;
    // A node that has left holds nothing that is its own, and goes with its disk.
    if (held.length === 0) return;
    const beyond = { from: self.id, to: held.at(-1)?.arc.from ?? self.id };
    if (store.digestRecords(beyond).count + store.digestChunks(beyond).count === 0) return;
    progress.state = 'handing over';
    const isStillForeign = () => ring.snapshot().version === snapshot.version && !signal.aborted;
    for (const { arc, writeSet } of foreignArcs(snapshot)) {
      if (store.digestRecords(arc).count + store.digestChunks(arc).count === 0) continue;
      await handOver.bringHome({ arc, targets: writeSet, urgency: 'background', signal, isStillForeign });
    }
  }
}
