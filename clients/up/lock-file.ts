import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks at a lock that another process holds. */
const LOOK_EVERY_MS = 100;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True when this process now holds the lock. */
async function tryToTake(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/**
 * Runs `task` while no other process does so under the same file, waiting for its turn as long as the signal lets it. The
 * lock of a process that has died without giving it back is taken away.
 */
export async function withLockFile<T>(path: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await tryToTake(path))) {
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    // An empty file is one whose holder is about to write its number: only a number can be found dead.
    if (holder > 0 && !isAlive(holder)) await rm(path, { force: true });
    else await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
  try {
    return await task();
  } finally {
    await rm(path, { force: true });
  }
}
