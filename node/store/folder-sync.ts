import type { FileSystem } from './file-system.ts';

/**
 * Group commit for folders: publishes that wait for the same folder at the same time share one flush.
 *
 * A flush that has already begun may have missed a rename made a moment ago, so a caller waits for the next one to
 * begin; all that wait meanwhile share it.
 */
export class FolderSync {
  readonly #fileSystem: Pick<FileSystem, 'syncFolder'>;
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Promise<void>>();

  constructor(fileSystem: Pick<FileSystem, 'syncFolder'>) {
    this.#fileSystem = fileSystem;
  }

  /** Resolves once everything renamed into `folder` before the call is durable. */
  sync(folder: string): Promise<void> {
    const waiting = this.#waiting.get(folder);
    if (waiting !== undefined) return waiting;
    const running = this.#running.get(folder);
    if (running === undefined) return this.#begin(folder);
    const next = running.then(
      () => this.#beginWaiting(folder),
      () => this.#beginWaiting(folder),
    );
    this.#waiting.set(folder, next);
    return next;
  }

  #beginWaiting(folder: string): Promise<void> {
    this.#waiting.delete(folder);
    return this.#begin(folder);
  }

  #begin(folder: string): Promise<void> {
    const flush = this.#fileSystem.syncFolder(folder);
    this.#running.set(folder, flush);
    const forget = () => {
      if (this.#running.get(folder) === flush) this.#running.delete(folder);
    };
    flush.then(forget, forget);
    return flush;
  }
}
