/**
 * `urgent`: a file has fewer copies than it should, or a node waits to join or leave. `background`: nothing is at risk.
 */
export type Urgency = 'urgent' | 'background';

/** Transfers under way at once: bytes bound memory and bandwidth, the count bounds requests for small files. */
interface Allowance {
  readonly bytes: number;
  readonly count: number;
}

const ALLOWANCES: Readonly<Record<Urgency, { readonly idle: Allowance; readonly busy: Allowance }>> = {
  urgent: { idle: { bytes: 16 * 2 ** 20, count: 24 }, busy: { bytes: 8 * 2 ** 20, count: 8 } },
  background: { idle: { bytes: 12 * 2 ** 20, count: 12 }, busy: { bytes: 4 * 2 ** 20, count: 2 } },
};

/** How long what a peer said of itself holds. A transfer of a chunk takes less, so that the next answer renews it. */
const PEER_BUSY_MS = 1_000;

/** Lets clients go first: how much moves at once depends on what this node, and those it pulls from, do for them. */
export class Pacer {
  readonly #isServingClients: () => boolean;
  readonly #now: () => number;
  #peersBusyUntilMs = Number.NEGATIVE_INFINITY;
  #bytes = 0;
  #count = 0;
  readonly #waiting: { readonly sizeBytes: number; readonly urgency: Urgency; readonly start: () => void }[] =
    [];

  /** @param now Monotonic clock, ms. */
  constructor(isServingClients: () => boolean, now: () => number) {
    this.#isServingClients = isServingClients;
    this.#now = now;
  }

  /** A newcomer has no clients yet, and would take all that the members have for theirs. */
  peerIsBusy(): void {
    this.#peersBusyUntilMs = this.#now() + PEER_BUSY_MS;
  }

  /** Runs `task` when there is room for `sizeBytes` more. A single transfer is always let through. */
  async run<T>(
    {
      sizeBytes,
      urgency,
      signal,
    }: { readonly sizeBytes: number; readonly urgency: Urgency; readonly signal: AbortSignal },
    task: () => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    await new Promise<void>((start) => {
      this.#waiting.push({ sizeBytes, urgency, start });
      this.#admit();
    });
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      this.#bytes -= sizeBytes;
      this.#count--;
      this.#admit();
    }
  }

  #admit(): void {
    for (
      let first = this.#waiting[0];
      first !== undefined && this.#hasRoom(first);
      first = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#bytes += first.sizeBytes;
      this.#count++;
      first.start();
    }
  }

  #hasRoom({ sizeBytes, urgency }: { readonly sizeBytes: number; readonly urgency: Urgency }): boolean {
    const isBusy = this.#isServingClients() || this.#now() < this.#peersBusyUntilMs;
    const { bytes, count } = ALLOWANCES[urgency][isBusy ? 'busy' : 'idle'];
    return this.#count === 0 || (this.#count < count && this.#bytes + sizeBytes <= bytes);
  }
}
