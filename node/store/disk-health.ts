import { ChordfsError } from '../../domain/errors.ts';
import { hasErrorCode } from './file-system.ts';

const FULL = ['ENOSPC', 'EDQUOT'] as const;
/** The process is short of descriptors or threads: says nothing about the disk. */
const BUSY = ['EMFILE', 'ENFILE', 'EAGAIN'] as const;

/**
 * Whether this replica's disk can still be trusted with writes.
 *
 * After a failed flush the kernel may mark the pages clean, so a second flush that succeeds proves nothing. The store
 * therefore never tries again: it stops taking writes, other replicas keep the promise, and a restart (which reads
 * what is really on the disk) or a new instance takes over. Reads go on, since each is verified.
 */
export class DiskHealth {
  readonly #onFailure: (error: unknown) => void;
  #failure: unknown;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
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
      throw this.#translate(error);
    }
  }

  /** From now on nothing is written. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#onFailure(error);
  }

  #translate(error: unknown): ChordfsError {
    if (error instanceof ChordfsError) return error;
    if (hasErrorCode(error, ...FULL) || isFullIndex(error)) {
      return new ChordfsError('VOLUME_FULL', {}, { cause: error });
    }
    if (!hasErrorCode(error, ...BUSY)) this.fail(error);
    return new ChordfsError('STORAGE_FAILED', {}, { cause: error });
  }
}

/** lmdb reports the system's error number, or its own text, rather than a `code` string. */
function isFullIndex(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const reasons = [error, 'commitError' in error ? error.commitError : undefined, error.cause];
  return reasons.some(
    (reason) => reason instanceof Error && /MDB_MAP_FULL|No space left|Disk quota/i.test(reason.message),
  );
}
