/** Up to this size a file's content is remembered; larger ones would push out many small ones. */
const MAX_ENTRY_BYTES = 64 * 1024;

/**
 * Content of small files, verified when it was read. Keyed by upload, whose content never changes: an entry can be
 * useless but never stale, because every read first establishes which upload is the live one.
 */
export class SmallFileCache {
  readonly #capacityBytes: number;
  /** Least recently used first, as a Map keeps the order of insertion. */
  readonly #entries = new Map<string, Uint8Array>();
  #usedBytes = 0;

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
  }

  get(uploadId: string): Uint8Array | undefined {
    const bytes = this.#entries.get(uploadId);
    if (bytes === undefined) return undefined;
    this.#entries.delete(uploadId);
    this.#entries.set(uploadId, bytes);
    return bytes;
  }

  put(uploadId: string, bytes: Uint8Array): void {
    if (bytes.byteLength > MAX_ENTRY_BYTES || this.#entries.has(uploadId)) return;
    // A copy: the given bytes may be a view into something larger, which would then stay in memory with it.
    this.#entries.set(uploadId, Uint8Array.from(bytes));
    this.#usedBytes += bytes.byteLength;
    for (const [oldest, { byteLength }] of this.#entries) {
      if (this.#usedBytes <= this.#capacityBytes) return;
      this.#entries.delete(oldest);
      this.#usedBytes -= byteLength;
    }
  }
}
