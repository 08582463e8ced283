/** How long movement gives way after a request. Raised: joins take longer under light load. Lowered: clients wait. */
const LINGER_MS = 300;

/**
 * What this node is doing for clients right now, as movement and garbage collection need to know it: which uploads
 * may still be committed, which writes were placed by an older view of the ring, and how busy the node is.
 */
export class WriteTracker {
  readonly #now: () => number;
  readonly #activeUploads = new Set<string>();
  readonly #writes = new Set<Promise<unknown>>();
  #readCount = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  /** @param now Monotonic clock, ms. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Chunks of an active upload are garbage to nobody. */
  uploadStarted(uploadId: string): void {
    this.#activeUploads.add(uploadId);
  }

  uploadEnded(uploadId: string): void {
    this.#activeUploads.delete(uploadId);
  }

  isActive(uploadId: string): boolean {
    return this.#activeUploads.has(uploadId);
  }

  /** Follows one replicated write from the moment its replicas are chosen until its outcome is known. */
  async write<T>(task: () => Promise<T>): Promise<T> {
    const running = task();
    this.#writes.add(running);
    try {
      return await running;
    } finally {
      this.#writes.delete(running);
      this.#lastEndMs = this.#now();
    }
  }

  /** Resolves once every write that is under way now has ended, however it ends. Later writes are not waited for. */
  async writesBeforeNow(): Promise<void> {
    await Promise.allSettled([...this.#writes]);
  }

  async read<T>(task: () => Promise<T>): Promise<T> {
    this.#readCount++;
    try {
      return await task();
    } finally {
      this.#readCount--;
      this.#lastEndMs = this.#now();
    }
  }

  /** Clients are being served, or just were: between two requests of theirs is not the time to take everything. */
  get isServingClients(): boolean {
    const isNow = this.#writes.size + this.#readCount > 0;
    return isNow || this.#now() - this.#lastEndMs < LINGER_MS;
  }
}
