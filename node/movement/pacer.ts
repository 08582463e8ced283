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

/** Lets clients go first: how much moves at once depends on what this node is doing for them. */
export class Pacer {
  readonly #clientLoad: () => number;
  #bytes = 0;
  #count = 0;
  readonly #waiting: { readonly sizeBytes: number; readonly urgency: Urgency; readonly start: () => void }[] =
    [];

  constructor(clientLoad: () => number) {
    this.#clientLoad = clientLoad;
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
    const { bytes, count } = ALLOWANCES[urgency][this.#clientLoad() > 0 ? 'busy' : 'idle'];
    return this.#count === 0 || (this.#count < count && this.#bytes + sizeBytes <= bytes);
  }
}
