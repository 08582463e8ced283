import * as fs from 'node:fs';
import { promisify } from 'node:util';

/** A file being written. Exactly one owner, who closes it. */
export interface WritableFile {
  write(bytes: Uint8Array): Promise<void>;
  /** Everything written is on the disk. After it fails the file must be given up: a second call may lie. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * What the chunk store asks of a file system, and nothing else: a test replaces it to run out of space, fail a flush
 * or cut the power between any two calls. Errors are Node's, with their `code`.
 */
export interface FileSystem {
  /** @throws EEXIST */
  createFile(path: string, mode: number): Promise<WritableFile>;
  /** Replaces `to`, atomically. */
  rename(from: string, to: string): Promise<void>;
  /** Makes renames, links and removals in a folder durable. */
  syncFolder(path: string): Promise<void>;
  /** Exactly `sizeBytes` bytes, or fewer when the file is shorter; read to the beginning of `into` when that is given. */
  readFile(path: string, sizeBytes: number, into?: Uint8Array): Promise<Uint8Array>;
  /** The same in this turn of the event loop, for small files that the page cache probably holds. */
  readFileNow(path: string, sizeBytes: number): Uint8Array;
  /** Quiet when the file is absent. */
  remove(path: string): Promise<void>;
  /** @throws EEXIST */
  link(from: string, to: string): Promise<void>;
  /** Names in a folder, in no order. */
  list(path: string): Promise<string[]>;
  makeFolder(path: string): Promise<void>;
  /** The inode, links and allocation of a file; undefined when there is none. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Total size and what this process may still use, in bytes. */
  volume(path: string): Promise<{ readonly sizeBytes: number; readonly freeBytes: number }>;
}

export interface FileStat {
  readonly inode: number;
  readonly allocatedBytes: number;
}

// Callbacks promisified cost half of what `fs.promises` does per call, and every upload makes several.
const openAsync = promisify(fs.open);
const fsyncAsync = promisify(fs.fsync);
const closeAsync = promisify(fs.close);
const renameAsync = promisify(fs.rename);
const linkAsync = promisify(fs.link);
const unlinkAsync = promisify(fs.unlink);
const readdirAsync = promisify(fs.readdir);
const statAsync = promisify(fs.stat);
const statfsAsync = promisify(fs.statfs);
const mkdirAsync = promisify(fs.mkdir);

function writeSome(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, offset, bytes.byteLength - offset, null, (error, written) =>
      error === null ? resolve(written) : reject(error),
    );
  });
}

function readSome(fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, bytes, offset, bytes.byteLength - offset, null, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}

/** Of `stat.blocks`, whatever the file system's own block size. */
const STAT_BLOCK_BYTES = 512;

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

class NodeWritableFile implements WritableFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.byteLength) offset += await writeSome(this.#fd, bytes, offset);
  }

  sync(): Promise<void> {
    return fsyncAsync(this.#fd);
  }

  close(): Promise<void> {
    return closeAsync(this.#fd);
  }
}

export const nodeFileSystem: FileSystem = {
  async createFile(path, mode) {
    return new NodeWritableFile(await openAsync(path, 'wx', mode));
  },
  rename: renameAsync,
  async syncFolder(path) {
    const fd = await openAsync(path, 'r');
    try {
      await fsyncAsync(fd);
    } finally {
      await closeAsync(fd);
    }
  },
  async readFile(path, sizeBytes, into) {
    const fd = await openAsync(path, 'r');
    try {
      const bytes = into?.subarray(0, sizeBytes) ?? Buffer.allocUnsafeSlow(sizeBytes);
      let offset = 0;
      while (offset < sizeBytes) {
        const count = await readSome(fd, bytes, offset);
        if (count === 0) break;
        offset += count;
      }
      return bytes.subarray(0, offset);
    } finally {
      await closeAsync(fd);
    }
  },
  readFileNow(path, sizeBytes) {
    const fd = fs.openSync(path, 'r');
    try {
      const bytes = Buffer.allocUnsafe(sizeBytes);
      let offset = 0;
      while (offset < sizeBytes) {
        const count = fs.readSync(fd, bytes, offset, sizeBytes - offset, null);
        if (count === 0) break;
        offset += count;
      }
      return bytes.subarray(0, offset);
    } finally {
      fs.closeSync(fd);
    }
  },
  async remove(path) {
    try {
      await unlinkAsync(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  },
  link: linkAsync,
  list: (path) => readdirAsync(path),
  async makeFolder(path) {
    await mkdirAsync(path, { recursive: true });
  },
  async stat(path) {
    try {
      const { ino, blocks } = await statAsync(path);
      return { inode: ino, allocatedBytes: blocks * STAT_BLOCK_BYTES };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },
  async volume(path) {
    const { bsize, blocks, bavail } = await statfsAsync(path);
    return { sizeBytes: bsize * blocks, freeBytes: bsize * bavail };
  },
};
