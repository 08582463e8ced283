/** What movement is doing, for people and for the lifecycle action that waits for it. */
export interface MovementProgress {
  /** `idle`: nothing is known to be missing. `waiting`: something is, and the next attempt is due soon. */
  readonly state: 'idle' | 'comparing' | 'pulling' | 'handing over' | 'waiting';
  /** Still to be received or handed over, as far as comparisons have shown. */
  readonly bytesLeft: number;
  /** Since the process started, both directions. */
  readonly bytesMoved: number;
  readonly filesMoved: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** At the present rate; undefined when nothing moves or nothing is left. */
  readonly etaMs: number | undefined;
  /** Why the last attempt was not complete: an error code; undefined when it was. */
  readonly lastFailure: string | undefined;
}

const WINDOW_MS = 5_000;

/** Counts what moves. */
export class ProgressMeter {
  readonly #now: () => number;
  readonly #recent: { readonly atMs: number; readonly bytes: number }[] = [];
  #bytesMoved = 0;
  #filesMoved = 0;
  #bytesLeft = 0;
  #isCountingAnew = false;
  state: MovementProgress['state'] = 'idle';
  lastFailure: string | undefined;

  /** @param now Monotonic clock, ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Everything is compared again: what is missing still will be found once more, and must not count twice. */
  comparesAnew(): void {
    this.#isCountingAnew = true;
  }

  found(bytes: number): void {
    this.#bytesLeft = bytes + (this.#isCountingAnew ? 0 : this.#bytesLeft);
    this.#isCountingAnew = false;
  }

  moved(bytes: number, { isFile }: { readonly isFile: boolean }): void {
    this.#bytesMoved += bytes;
    this.#bytesLeft = Math.max(0, this.#bytesLeft - bytes);
    if (isFile) this.#filesMoved++;
    this.#recent.push({ atMs: this.#now(), bytes });
    this.#prune();
  }

  /** A comparison has shown that nothing is left, whatever the estimates said. */
  nothingLeft(): void {
    this.#bytesLeft = 0;
  }

  read(): MovementProgress {
    this.#prune();
    const inWindow = this.#recent.reduce((sum, { bytes }) => sum + bytes, 0);
    const first = this.#recent[0];
    const spanMs = first === undefined ? 0 : Math.max(this.#now() - first.atMs, 100);
    const bytesPerSecond = spanMs === 0 ? 0 : Math.round((inWindow * 1_000) / spanMs);
    const canTell = bytesPerSecond > 0 && this.#bytesLeft > 0;
    return {
      state: this.state,
      bytesLeft: this.#bytesLeft,
      bytesMoved: this.#bytesMoved,
      filesMoved: this.#filesMoved,
      bytesPerSecond,
      etaMs: canTell ? Math.round((this.#bytesLeft * 1_000) / bytesPerSecond) : undefined,
      lastFailure: this.lastFailure,
    };
  }

  #prune(): void {
    const oldest = this.#now() - WINDOW_MS;
    while ((this.#recent[0]?.atMs ?? oldest) < oldest) this.#recent.shift();
  }
}
