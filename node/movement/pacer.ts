/**
 * `urgent`: a file has fewer copies than it should, or a node waits to join or leave. `background`: nothing is at risk.
 */
export type Urgency = 'urgent' | 'background';

/** Under way at once, as `batches.ts` counts cost: a little more than so many times 4 MiB. */
const ALLOWED_BYTES: Readonly<Record<Urgency, { readonly idle: number; readonly busy: number }>> = {
  urgent: { idle: 17 * 2 ** 20, busy: 8.5 * 2 ** 20 },
  background: { idle: 12.5 * 2 ** 20, busy: 4.25 * 2 ** 20 },
};

/** How long what a peer said of itself holds. A transfer of a chunk takes less, so that the next answer renews it. */
const PEER_BUSY_MS = 1_000;

/** Lets clients go first: how much moves at once depends on what this node, and those it pulls from, do for them. */
export class Pacer {
  readonly #isServingClients: () => boolean;
  readonly #now: () => number;
  #peersBusyUntilMs = Number.NEGATIVE_INFINITY;
  #runningBytes = 0;
  #count = 0;
  /** Of each urgency, first come, first served. */
  readonly #waiting: Readonly<Record<Urgency, Waiting[]>> = { urgent: [], background: [] };

  /** @param now Monotonic clock, ms. */
  constructor(isServingClients: () => boolean, now: () => number) {
    this.#isServingClients = isServingClients;
    this.#now = now;
  }

  /** A newcomer has no clients yet, and would take all that the members have for theirs. */
  peerIsBusy(): void {
    this.#peersBusyUntilMs = this.#now() + PEER_BUSY_MS;
  }

  /** Runs `task` when there is room for `costBytes` more. A single transfer is always let through. */
  async run<T>(
    {
      costBytes,
      urgency,
      signal,
    }: { readonly costBytes: number; readonly urgency: Urgency; readonly signal: AbortSignal },
    task: () => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    await new Promise<void>((start) => {
      this.#waiting[urgency].push({ costBytes, start });
      this.#admit();
    });
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      this.#runningBytes -= costBytes;
      this.#count--;
      this.#admit();
    }
  }

  /** What is urgent does not wait for what is not: a take-over may hold clients up until it has its records. */
  #admit(): void {
    for (const urgency of ['urgent', 'background'] as const) {
      const waiting = this.#waiting[urgency];
      for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
        if (!this.#hasRoom(first, urgency)) return;
        waiting.shift();
        this.#runningBytes += first.costBytes;
        this.#count++;
        first.start();
      }
    }
  }

  #hasRoom({ costBytes }: Waiting, urgency: Urgency): boolean {
    const isBusy = this.#isServingClients() || this.#now() < this.#peersBusyUntilMs;
    const allowedBytes = ALLOWED_BYTES[urgency][isBusy ? 'busy' : 'idle'];
    return this.#count === 0 || this.#runningBytes + costBytes <= allowedBytes;
  }
}

interface Waiting {
  readonly costBytes: number;
  readonly start: () => void;
}
