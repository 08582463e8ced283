import type { Identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { ChordConfig } from '../chord/config.ts';
import type { ChordEffect, ChordEvent } from '../chord/event.ts';
import { createNode, membersOf, type NodeState, neighboursOf, owns, step } from '../chord/step.ts';

/** Performs one effect: starts it and returns at once. What comes of it is dispatched later as an event. */
export type PerformEffect = (effect: ChordEffect) => void;

export interface RunnerOptions {
  readonly self: Member;
  readonly config: ChordConfig;
  readonly perform: PerformEffect;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * Drives the pure core in real time: the one place where its state changes.
 *
 * Events run one after another, each to its end; an effect that leads to another event at once only queues it. So
 * nothing ever sees a state half changed, and no lock is needed.
 */
export class ChordRunner {
  readonly #options: RunnerOptions;
  readonly #queue: ChordEvent[] = [];
  #state: NodeState;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #isRunning = false;
  #isStopped = false;
  #eventCount = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#state = createNode(options.self, options.config);
  }

  get eventCount(): number {
    return this.#eventCount;
  }

  get self(): Member {
    return this.#state.self;
  }

  dispatch(event: ChordEvent): void {
    if (this.#isStopped) return;
    this.#queue.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      // Ends: effects never dispatch more than one event each, and most of them do so later.
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#step(next);
    } finally {
      this.#isRunning = false;
    }
    this.#schedule();
  }

  owns(key: Identifier): boolean {
    return !this.#isStopped && owns(this.#state, key, performance.now());
  }

  members(): readonly RingMember[] {
    return membersOf(this.#state);
  }

  neighbours(): ReturnType<typeof neighboursOf> {
    return neighboursOf(this.#state);
  }

  stop(): void {
    this.#isStopped = true;
    this.#queue.length = 0;
    clearTimeout(this.#timer);
  }

  #step(event: ChordEvent): void {
    const instant = { nowMs: performance.now(), random: this.#options.random() };
    const { state, effects } = step(this.#state, event, instant);
    this.#state = state;
    this.#eventCount += 1;
    for (const effect of effects) this.#options.perform(effect);
  }

  #schedule(): void {
    const { wakeAtMs } = this.#state;
    if (this.#isStopped || wakeAtMs === this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = wakeAtMs;
    if (wakeAtMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(
      () => {
        this.#timerAtMs = Number.POSITIVE_INFINITY;
        this.dispatch({ kind: 'woken' });
      },
      Math.max(0, Math.ceil(wakeAtMs - performance.now())),
    );
  }
}
