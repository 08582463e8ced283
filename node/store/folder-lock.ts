import { realpathSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Keeps a second process out of a data folder.
 *
 * Node has no file locks, and a file with a process id outlives the process. On Linux the lock is a socket in the
 * abstract namespace, named after the folder's device and inode: taking it is atomic, and the kernel gives it back
 * the moment the process ends, however it ends. Elsewhere it is a socket file, which a
 * killed process leaves behind for a person to remove.
 *
 * @throws Error when another process (or this one) already has the folder open.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const { dev, ino } = statSync(realpathSync(folder));
  const path = process.platform === 'linux' ? `\0chordfs-data-${dev}-${ino}` : join(folder, 'lock.sock');
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, path);
  } catch (error) {
    throw new Error(`The data folder ${folder} is in use by another process`, { cause: error });
  }
  server.unref();
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
