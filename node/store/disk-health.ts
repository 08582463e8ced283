import { ChordfsError } from '../../domain/errors.ts';
import { hasErrorCode } from './file-system.ts';

const FULL = ['ENOSPC', 'EDQUOT'] as const;
/** The process is short of descriptors or threads: says nothing about the disk. */
const BUSY = ['EMFILE', 'ENFILE', 'EAGAIN'] as const;

export interface DiskHealthOptions {
  /** Told once. */
  readonly onFailure: (error: unknown) => void;
  readonly isFull: () => Promise<boolean>;
}

/**
 * Whether this replica's disk can still be trusted with writes.
 *
 * After a failed flush the kernel may mark the pages clean, so a second flush that succeeds proves nothing. The store
 * therefore never tries again: it stops taking writes, other replicas keep the promise, and a restart (which reads
 * what is really on the disk) or a new instance takes over. Reads go on, since each is verified.
 */
export class DiskHealth {
  readonly #onFailure: (error: unknown) => void;
  readonly #isFull: () => Promise<boolean>;
  #failure: unknown;

  /** @param isFull Whether the file system has no space left, now. */
  constructor({ onFailure, isFull }: DiskHealthOptions) {
    this.#onFailure = onFailure;
    this.#isFull = isFull;
  }

  /**
   * Runs something that writes.
   * @throws ChordfsError `VOLUME_FULL` when there was no space, `STORAGE_FAILED` for every other trouble, now or before.
   */
  async guard<T>(write: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw new ChordfsError('STORAGE_FAILED', {}, { cause: this.#failure });
    try {
      return await write();
    } catch (error) {
      throw await this.#translate(error);
    }
  }

  /**
   * Runs something that writes what the store could do without. That it fails is nobody's concern, unless it is the
   * disk that fails: people put folders where a file should go, take permissions away, mount things.
   */
  async attempt(write: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      await write();
    } catch (error) {
      if (hasErrorCode(error, 'EIO')) this.fail(error);
    }
  }

  /** From now on nothing is written. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#onFailure(error);
  }

  async #translate(error: unknown): Promise<ChordfsError> {
    if (error instanceof ChordfsError) return error;
    // The index reports a write that was cut short for want of space as an I/O error like any other.
    if (hasErrorCode(error, ...FULL) || (await this.#isFull())) {
      return new ChordfsError('VOLUME_FULL', {}, { cause: error });
    }
    if (!hasErrorCode(error, ...BUSY)) this.fail(error);
    return new ChordfsError('STORAGE_FAILED', {}, { cause: error });
  }
}
