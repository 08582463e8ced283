import { ChordfsError } from '../../domain/errors.ts';
import type { FileSystem } from './file-system.ts';

export interface VolumeOptions {
  readonly directory: string;
  /** Use at most this much; undefined: the whole file system. */
  readonly capacityBytes: number | undefined;
  /** What the store has on the disk now. */
  readonly usedBytes: () => number;
  readonly now: () => number;
}

/**
 * Kept free of chunks, as a share of the capacity: a full disk must still take tombstones, records and the index's
 * own copies of its pages, or nothing could ever be deleted from it.
 */
const RESERVE_SHARE = 0.03;
const MIN_RESERVE_BYTES = 4 * 1024 * 1024;
const MAX_RESERVE_BYTES = 1024 * 1024 * 1024;
/** Records may use all but this part of the reserve. */
const RECORD_SHARE = 0.5;
/** How long an answer of the file system about its free space is believed, corrected by what was written since. */
const FREE_SPACE_MAX_AGE_MS = 1_000;

/** So little is left that a write may well have failed for want of it. */
const EXHAUSTED_BYTES = 1024 * 1024;

/** Says no before the disk does. */
export class Volume {
  readonly #fileSystem: Pick<FileSystem, 'volume'>;
  readonly #options: VolumeOptions;
  #sizeBytes = 0;
  #freeBytes = 0;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #promisedBytes = 0;

  constructor(fileSystem: Pick<FileSystem, 'volume'>, options: VolumeOptions) {
    this.#fileSystem = fileSystem;
    this.#options = options;
  }

  get capacityBytes(): number {
    return this.#options.capacityBytes ?? this.#sizeBytes;
  }

  /** Asks the file system when the last answer is too old. */
  async refresh(): Promise<void> {
    const now = this.#options.now();
    if (now - this.#checkedAtMs < FREE_SPACE_MAX_AGE_MS) return;
    this.#checkedAtMs = now;
    const { sizeBytes, freeBytes } = await this.#fileSystem.volume(this.#options.directory);
    this.#sizeBytes = sizeBytes;
    this.#freeBytes = freeBytes;
  }

  /**
   * Runs a write of a chunk that will take `bytes`, counting them as taken while it runs.
   * @throws ChordfsError `VOLUME_FULL` without running it.
   */
  async withSpaceFor<T>(bytes: number, write: () => Promise<T>): Promise<T> {
    await this.refresh();
    this.#refuseAbove(bytes, this.#reserveBytes());
    this.#promisedBytes += bytes;
    try {
      const result = await write();
      this.#freeBytes -= bytes;
      return result;
    } finally {
      this.#promisedBytes -= bytes;
    }
  }

  /** Whether a record of about this size may still be written. @throws ChordfsError `VOLUME_FULL` */
  async checkSpaceForRecord(bytes: number): Promise<void> {
    await this.refresh();
    this.#refuseAbove(bytes, this.#reserveBytes() * RECORD_SHARE);
  }

  /** Whether the file system itself has run out, asked anew. False when it does not answer. */
  async isExhausted(): Promise<boolean> {
    try {
      return (await this.#fileSystem.volume(this.#options.directory)).freeBytes < EXHAUSTED_BYTES;
    } catch {
      return false;
    }
  }

  #reserveBytes(): number {
    const share = this.capacityBytes * RESERVE_SHARE;
    return Math.min(Math.max(share, MIN_RESERVE_BYTES), MAX_RESERVE_BYTES);
  }

  #refuseAbove(bytes: number, reserveBytes: number): void {
    const wanted = bytes + this.#promisedBytes;
    const usedBytes = this.#options.usedBytes();
    const isOverCapacity = usedBytes + wanted > this.capacityBytes - reserveBytes;
    if (isOverCapacity || wanted > this.#freeBytes - reserveBytes) {
      throw new ChordfsError('VOLUME_FULL', { usedBytes, capacityBytes: this.capacityBytes });
    }
  }
}
