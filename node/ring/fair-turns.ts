import { ChordfsError } from '../../domain/errors.ts';

export interface FairTurnsOptions {
  /** Pieces of work under way at once. Raised: more memory under a flood. Lowered: less throughput over slow links. */
  readonly atOnce: number;
  /** Of these, for one caller. Raised: one caller may hold up more of the others. */
  readonly perCaller: number;
  /** Waiting, all callers together; beyond it a caller is told at once. */
  readonly waiting: number;
}

interface Caller {
  running: number;
  readonly queue: Set<() => void>;
}

/**
 * Lets callers that nobody has checked start expensive work in turns: so many pieces at once, and when there is a line,
 * one piece of each caller after the other. Whoever sends thousands of calls waits behind its own, not others behind it.
 */
export class FairTurns {
  readonly #options: FairTurnsOptions;
  /** Callers with work, the one whose turn is next first. */
  readonly #callers = new Map<string, Caller>();
  #running = 0;
  #waiting = 0;

  constructor(options: FairTurnsOptions) {
    this.#options = options;
  }

  /**
   * Does the work when it is the caller's turn.
   * @throws ChordfsError `DEADLINE_EXCEEDED` when the signal fires before that, or when too many wait already.
   */
  async run<T>(caller: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const end = await this.take(caller, signal);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** For work that is not one function: resolves to what ends the turn, to be called exactly once. Throws as `run`. */
  async take(caller: string, signal: AbortSignal): Promise<() => void> {
    await this.#turnOf(caller, signal);
    return () => this.#ended(caller);
  }

  /** The same without waiting: undefined when the caller's turn is not now. */
  tryTake(caller: string): (() => void) | undefined {
    const state = this.#callers.get(caller) ?? { running: 0, queue: new Set() };
    if (this.#waiting > 0 || !this.#mayStart(state)) return undefined;
    this.#callers.set(caller, state);
    this.#start(state);
    return () => this.#ended(caller);
  }

  get waitingCount(): number {
    return this.#waiting;
  }

  #turnOf(name: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(new ChordfsError('DEADLINE_EXCEEDED'));
    const caller = this.#callers.get(name) ?? { running: 0, queue: new Set() };
    this.#callers.set(name, caller);
    if (caller.queue.size === 0 && this.#mayStart(caller)) {
      this.#start(caller);
      return Promise.resolve();
    }
    if (this.#waiting >= this.#options.waiting) {
      return Promise.reject(new ChordfsError('DEADLINE_EXCEEDED', { reason: 'too many calls' }));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        caller.queue.delete(begin);
        this.#waiting -= 1;
        signal.removeEventListener('abort', giveUp);
      };
      const begin = (): void => {
        leave();
        this.#start(caller);
        resolve();
      };
      const giveUp = (): void => {
        leave();
        this.#forget(name, caller);
        reject(new ChordfsError('DEADLINE_EXCEEDED'));
      };
      this.#waiting += 1;
      caller.queue.add(begin);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #mayStart({ running }: Caller): boolean {
    return this.#running < this.#options.atOnce && running < this.#options.perCaller;
  }

  #start(caller: Caller): void {
    this.#running += 1;
    caller.running += 1;
  }

  #ended(name: string): void {
    const caller = this.#callers.get(name);
    this.#running -= 1;
    if (caller === undefined) return;
    caller.running -= 1;
    this.#forget(name, caller);
    this.#next();
  }

  #next(): void {
    if (this.#waiting === 0) return;
    for (const [name, caller] of this.#callers) {
      const [begin] = caller.queue;
      if (begin === undefined || !this.#mayStart(caller)) continue;
      // Put back at the end: all others have their turn first.
      this.#callers.delete(name);
      this.#callers.set(name, caller);
      begin();
      return;
    }
  }

  #forget(name: string, { running, queue }: Caller): void {
    if (running === 0 && queue.size === 0) this.#callers.delete(name);
  }
}
