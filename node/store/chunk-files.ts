import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Identifier, identifier } from '../../domain/identifier.ts';
import { type FileSystem, hasErrorCode, type WritableFile } from './file-system.ts';
import { FolderSync } from './folder-sync.ts';
import type { ChunkId } from './store.ts';

/** Chunks are never written twice, and the `files/` folder shows the same inode to people: read-only for everybody. */
const READ_ONLY = 0o444;
/** Below this a read from the page cache is quicker than handing it to another thread and back. */
const READ_NOW_BYTES = 64 * 1024;

/** Four of the largest chunks: enough to look at, and no way for a rotting disk to fill itself with its own rot. */
const MAX_QUARANTINE_BYTES = 16 * 1024 * 1024;

function hexOf(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function fileNameOf({ key, uploadId, index }: ChunkId): string {
  return `${hexOf(key, 8)}-${uploadId}-${index}`;
}

const FILE_NAME = /^([0-9a-f]{8})-([A-Za-z0-9_-]{1,64})-(\d{1,10})$/;

function chunkIdOf(fileName: string): ChunkId | undefined {
  const [, key, uploadId, index] = FILE_NAME.exec(fileName) ?? [];
  if (key === undefined || uploadId === undefined || index === undefined) return undefined;
  return { key: identifier(Number.parseInt(key, 16)), uploadId, index: Number(index) };
}

/**
 * The chunks' files: `chunks/<first byte of the key>/<key>-<upload>-<index>`, `tmp/` for what is being written and
 * `quarantine/` for copies that failed their checksum. All on one volume, so that a rename moves them.
 */
export class ChunkFiles {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #folders: FolderSync;
  /** What somebody left in `tmp/` that could not be removed must never be in the way. */
  readonly #life = randomBytes(6).toString('hex');
  #temporaryCount = 0;
  #quarantinedBytes = 0;

  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#folders = new FolderSync(fileSystem);
  }

  /** Makes the folders and removes what a crash left half-written. */
  async open(): Promise<void> {
    const folders = ['tmp', 'quarantine', 'chunks', ...this.shards().map((shard) => join('chunks', shard))];
    for (const folder of folders) await this.#fileSystem.makeFolder(join(this.#directory, folder));
    await this.#fileSystem.syncFolder(join(this.#directory, 'chunks'));
    await this.#fileSystem.syncFolder(this.#directory);
    const temporary = join(this.#directory, 'tmp');
    for (const name of await this.#fileSystem.list(temporary)) {
      await this.#removeLeftover(join(temporary, name));
    }
    await this.trimQuarantine();
  }

  /** What bad copies take on the disk. */
  get quarantinedBytes(): number {
    return this.#quarantinedBytes;
  }

  pathOf(id: ChunkId): string {
    return join(this.#directory, 'chunks', shardOf(id.key), fileNameOf(id));
  }

  /** A path nobody else uses, for something that will be renamed into place. */
  temporaryPath(): string {
    this.#temporaryCount += 1;
    return join(this.#directory, 'tmp', `${this.#life}-${this.#temporaryCount}`);
  }

  /** The file is whole, under its name, and durable when it resolves; before that it is not under its name. */
  async publish(id: ChunkId, bytes: Uint8Array): Promise<void> {
    const temporary = this.temporaryPath();
    try {
      const file = await this.#fileSystem.createFile(temporary, READ_ONLY);
      await writeAndClose(file, bytes);
      await this.#fileSystem.rename(temporary, this.pathOf(id));
    } catch (error) {
      // The space of a failed write is wanted back; when not even that works, the next start removes it.
      await this.#fileSystem.remove(temporary).catch(() => undefined);
      throw error;
    }
    await this.#folders.sync(join(this.#directory, 'chunks', shardOf(id.key)));
  }

  /** Undefined when there is no such file. Never more than `sizeBytes` bytes; `into` is memory for at least as many. */
  async read(id: ChunkId, sizeBytes: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const path = this.pathOf(id);
    try {
      return sizeBytes <= READ_NOW_BYTES
        ? this.#fileSystem.readFileNow(path, sizeBytes)
        : await this.#fileSystem.readFile(path, sizeBytes, into);
    } catch (error) {
      if (hasErrorCode(error, 'EMFILE', 'ENFILE')) throw error;
      // EIO, a vanished file, a folder in its place: whatever it is, there is no good copy here.
      return undefined;
    }
  }

  /** Not durable: after a crash the file may be back, and the sweep removes it again. */
  remove(id: ChunkId): Promise<void> {
    return this.#fileSystem.remove(this.pathOf(id));
  }

  /** The same for what no index entry names. A folder that somebody made here is not ours, and stays. */
  removeStray(id: ChunkId): Promise<void> {
    return this.#removeLeftover(this.pathOf(id));
  }

  async #removeLeftover(path: string): Promise<void> {
    try {
      await this.#fileSystem.remove(path);
    } catch (error) {
      if (!hasErrorCode(error, 'EISDIR', 'EPERM', 'EACCES')) throw error;
    }
  }

  /** Moves a bad copy aside. It is evidence for people; nothing reads it again. */
  async quarantine(id: ChunkId, nowMs: number): Promise<void> {
    const aside = join(this.#directory, 'quarantine', `${fileNameOf(id)}-${nowMs}`);
    try {
      await this.#fileSystem.rename(this.pathOf(id), aside);
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT')) throw error;
    }
    await this.trimQuarantine();
  }

  /** Forgets the oldest bad copies beyond the bound. */
  async trimQuarantine(): Promise<void> {
    const folder = join(this.#directory, 'quarantine');
    const names = await this.#fileSystem.list(folder);
    const newestFirst = names.sort((a, b) => quarantinedAtMs(b) - quarantinedAtMs(a));
    let keptBytes = 0;
    for (const name of newestFirst) {
      const path = join(folder, name);
      const allocatedBytes = (await this.#fileSystem.stat(path))?.allocatedBytes ?? 0;
      if (keptBytes + allocatedBytes <= MAX_QUARANTINE_BYTES) keptBytes += allocatedBytes;
      else await this.#removeLeftover(path);
    }
    this.#quarantinedBytes = keptBytes;
  }

  /** Names of the 256 folders chunks are spread over: one folder with a million files is slow to list. */
  shards(): string[] {
    return Array.from({ length: 256 }, (_, i) => hexOf(i, 2));
  }

  /** What lies in one folder. Files that are not chunks are left alone. */
  async list(shard: string): Promise<ChunkId[]> {
    const names = await this.#fileSystem.list(join(this.#directory, 'chunks', shard));
    return names.map(chunkIdOf).filter((id) => id !== undefined);
  }
}

function quarantinedAtMs(fileName: string): number {
  return Number(fileName.slice(fileName.lastIndexOf('-') + 1));
}

function shardOf(key: Identifier): string {
  return hexOf(key >>> 24, 2);
}

async function writeAndClose(file: WritableFile, bytes: Uint8Array): Promise<void> {
  try {
    await file.write(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
