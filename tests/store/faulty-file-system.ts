import { type FileSystem, nodeFileSystem, type WritableFile } from '../../node/store/file-system.ts';

export type Operation = keyof FileSystem | 'write' | 'sync';

/** The system's error with its code, as Node throws it. */
export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** The power went out: nothing after this moment happens. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

/**
 * The real file system, with a say in every call: `before` runs first, and what it throws is what the call does
 * instead. `calls` counts them all, so that a test can cut the power before the n-th.
 */
export class FaultyFileSystem implements FileSystem {
  before: (operation: Operation, path: string) => void = () => undefined;
  calls = 0;

  /** From the n-th call on, counted from now, everything fails. */
  cutPowerBeforeCall(n: number): void {
    const last = this.calls + n;
    this.before = () => {
      if (this.calls >= last) throw new PowerCut();
    };
  }

  #enter(operation: Operation, path: string): void {
    this.calls += 1;
    this.before(operation, path);
  }

  async createFile(path: string, mode: number): Promise<WritableFile> {
    this.#enter('createFile', path);
    const file = await nodeFileSystem.createFile(path, mode);
    return {
      write: async (bytes) => {
        try {
          this.#enter('write', path);
        } catch (error) {
          // As a full disk does: some of the bytes are there.
          await file.write(bytes.subarray(0, bytes.byteLength >>> 1));
          throw error;
        }
        await file.write(bytes);
      },
      sync: async () => {
        this.#enter('sync', path);
        await file.sync();
      },
      close: () => file.close(),
    };
  }
  async rename(from: string, to: string): Promise<void> {
    this.#enter('rename', from);
    await nodeFileSystem.rename(from, to);
  }
  async syncFolder(path: string): Promise<void> {
    this.#enter('syncFolder', path);
    await nodeFileSystem.syncFolder(path);
  }
  async readFile(path: string, sizeBytes: number, into?: Uint8Array): Promise<Uint8Array> {
    this.#enter('readFile', path);
    return await nodeFileSystem.readFile(path, sizeBytes, into);
  }
  readFileNow(path: string, sizeBytes: number): Uint8Array {
    this.#enter('readFileNow', path);
    return nodeFileSystem.readFileNow(path, sizeBytes);
  }
  async remove(path: string): Promise<void> {
    this.#enter('remove', path);
    await nodeFileSystem.remove(path);
  }
  async link(from: string, to: string): Promise<void> {
    this.#enter('link', from);
    await nodeFileSystem.link(from, to);
  }
  async list(path: string): Promise<string[]> {
    this.#enter('list', path);
    return await nodeFileSystem.list(path);
  }
  async makeFolder(path: string): Promise<void> {
    this.#enter('makeFolder', path);
    await nodeFileSystem.makeFolder(path);
  }
  async stat(path: string) {
    this.#enter('stat', path);
    return await nodeFileSystem.stat(path);
  }
  /** Free space as the test wants it, when it wants something. */
  volumeAnswer: { readonly sizeBytes: number; readonly freeBytes: number } | undefined;
  async volume(path: string) {
    this.#enter('volume', path);
    return this.volumeAnswer ?? (await nodeFileSystem.volume(path));
  }
}
