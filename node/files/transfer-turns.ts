import { ChordfsError } from '../../domain/errors.ts';
import { withDeadline } from '../deadline.ts';
import { FairTurns, type FairTurnsOptions } from '../ring/fair-turns.ts';

/** Callers are addresses of clients; each turn stands for memory that is held at the client's pace. */
export interface TransferLimits extends FairTurnsOptions {
  /** How long a client waits before it is told to come again. More than two windows, so that slow ones are found out by then. */
  readonly patienceMs: number;
  /**
   * What a client that is waited for has to move within `windowMs` while others wait in line; otherwise its turn ends.
   * Raised: slow lines are cut off on a busy node. Lowered: whoever means ill holds a turn for less.
   */
  readonly leastBytes: number;
  readonly windowMs: number;
}

export interface TurnOptions {
  readonly caller: string;
  readonly signal: AbortSignal;
  /** Other than that of the limits. */
  readonly patienceMs?: number;
}

/** Looked at so often within a window: nobody waits much longer than a window for a slow one. */
const CHECKS_PER_WINDOW = 10;

/**
 * Turns for transfers whose pace clients set. Memory is bounded by the number of turns, whatever clients do; nobody is
 * kept out by slow ones, because whoever moves next to nothing while others wait loses its turn; and nobody takes all
 * turns, because each address has its share and its place in line.
 */
export class TransferTurns {
  readonly #limits: TransferLimits;
  readonly #turns: FairTurns;
  readonly #now: () => number;
  readonly #held = new Set<Turn>();
  #crowd: NodeJS.Timeout | undefined;

  constructor(limits: TransferLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#turns = new FairTurns(limits);
    this.#now = now;
  }

  /** @throws ChordfsError `NODE_BUSY` after the patience, or at once when too many wait; or the signal's reason. */
  async take({ caller, signal, patienceMs = this.#limits.patienceMs }: TurnOptions): Promise<Turn> {
    const free = this.tryTake(caller);
    if (free !== undefined) return free;
    this.#crowd ??= setInterval(() => this.check(), this.#limits.windowMs / CHECKS_PER_WINDOW).unref();
    try {
      const end = await withDeadline({ signal, timeoutMs: patienceMs }, (deadline) =>
        this.#turns.take(caller, deadline),
      );
      return this.#begin(end);
    } catch (error) {
      signal.throwIfAborted();
      throw new ChordfsError('NODE_BUSY', {}, { cause: error });
    } finally {
      if (this.#turns.waitingCount === 0) {
        clearInterval(this.#crowd);
        this.#crowd = undefined;
      }
    }
  }

  /** A turn, if one is free and nobody waits. */
  tryTake(caller: string): Turn | undefined {
    const end = this.#turns.tryTake(caller);
    return end === undefined ? undefined : this.#begin(end);
  }

  /** Whether somebody waits. */
  get isCrowded(): boolean {
    return this.#turns.waitingCount > 0;
  }

  /** Ends the turns of clients that are too slow. Called again and again while somebody waits. */
  check(): void {
    const nowMs = this.#now();
    for (const turn of this.#held) turn.check(nowMs, this.#limits);
  }

  #begin(end: () => void): Turn {
    const turn = new Turn(this.#now, () => {
      this.#held.delete(turn);
      end();
    });
    this.#held.add(turn);
    return turn;
  }
}

/** Held by one transfer, until `end`. */
export class Turn {
  readonly #now: () => number;
  readonly #onEnd: () => void;
  #isOver = false;
  #tooSlow: ((error: ChordfsError) => void) | undefined;
  #movedBytes = 0;
  #sinceMs = 0;

  constructor(now: () => number, onEnd: () => void) {
    this.#now = now;
    this.#onEnd = onEnd;
  }

  /** From now on it is the client that is waited for. `tooSlow` is told at most once, and has to end the turn. */
  waitForClient(tooSlow: (error: ChordfsError) => void): void {
    this.#tooSlow = tooSlow;
    this.#movedBytes = 0;
    this.#sinceMs = this.#now();
  }

  /** The client has done its part. */
  clientIsDone(): void {
    this.#tooSlow = undefined;
  }

  moved(sizeBytes: number): void {
    this.#movedBytes += sizeBytes;
  }

  check(nowMs: number, { leastBytes, windowMs }: Pick<TransferLimits, 'leastBytes' | 'windowMs'>): void {
    if (this.#tooSlow === undefined || nowMs - this.#sinceMs < windowMs) return;
    const movedBytes = this.#movedBytes;
    this.#movedBytes = 0;
    this.#sinceMs = nowMs;
    if (movedBytes >= leastBytes) return;
    const tooSlow = this.#tooSlow;
    this.#tooSlow = undefined;
    tooSlow(new ChordfsError('NODE_BUSY', { reason: 'client too slow', movedBytes }));
  }

  /** Safe to repeat. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#tooSlow = undefined;
    this.#onEnd();
  }
}
