import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, hasErrorCode } from './file-system.ts';

const MAX_COMPONENT_BYTES = 255;
/** Marks an encoded name. A file whose own name begins so is encoded as well, hence no two names share a file name. */
const ENCODED_PREFIX = '%chordfs-';
/** How much of an encoded name is kept for the eye. */
const READABLE_LENGTH = 60;

/**
 * The name a file has in the `files/` folder: its own, whenever that is one valid path component; otherwise a
 * digest of it and a readable rest.
 */
export function exposedName(name: string): string {
  const isPlain =
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    !name.startsWith(ENCODED_PREFIX) &&
    Buffer.byteLength(name) <= MAX_COMPONENT_BYTES;
  if (isPlain) return name;
  const readable = name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, READABLE_LENGTH);
  return `${ENCODED_PREFIX}${createHash('sha256').update(name).digest('hex')}-${readable}`;
}

/** The folder that shows single-chunk files as plain read-only files of their names. A view: never read back. */
export class ExposedFiles {
  readonly #fileSystem: FileSystem;
  readonly #folder: string;
  readonly #temporaryPath: () => string;

  constructor(fileSystem: FileSystem, directory: string, temporaryPath: () => string) {
    this.#fileSystem = fileSystem;
    this.#folder = join(directory, 'files');
    this.#temporaryPath = temporaryPath;
  }

  async open(): Promise<void> {
    await this.#fileSystem.makeFolder(this.#folder);
  }

  /**
   * Shows the chunk at `chunkPath` under `name`, replacing what was there in one step. A hard link costs no space;
   * where the file system has none, `readChunk` yields a copy to write.
   */
  async show(
    name: string,
    chunkPath: string,
    readChunk: () => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    const path = join(this.#folder, exposedName(name));
    const temporary = this.#temporaryPath();
    try {
      await this.#fileSystem.link(chunkPath, temporary);
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return;
      if (!hasErrorCode(error, 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV')) throw error;
      await this.#copy(temporary, await readChunk());
    }
    try {
      await this.#fileSystem.rename(temporary, path);
    } finally {
      // It may still be there: renaming one link of a file over another of the same file does nothing at all.
      await this.#fileSystem.remove(temporary);
    }
  }

  /** An empty file has no chunk to link to. */
  async showEmpty(name: string): Promise<void> {
    const temporary = this.#temporaryPath();
    await this.#copy(temporary, new Uint8Array());
    try {
      await this.#fileSystem.rename(temporary, join(this.#folder, exposedName(name)));
    } catch (error) {
      await this.#fileSystem.remove(temporary);
      throw error;
    }
  }

  async hide(name: string): Promise<void> {
    await this.#fileSystem.remove(join(this.#folder, exposedName(name)));
  }

  /** File names in the folder; only those not encoded are names of files. */
  async plainNames(): Promise<string[]> {
    const names = await this.#fileSystem.list(this.#folder);
    return names.filter((name) => !name.startsWith(ENCODED_PREFIX));
  }

  async #copy(path: string, bytes: Uint8Array | undefined): Promise<void> {
    if (bytes === undefined) return;
    const file = await this.#fileSystem.createFile(path, 0o444);
    try {
      await file.write(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
