import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const lockSchema = z.object({ pid: z.number(), endpoint: z.string().optional() });
/** A holder that has not opened its endpoint after this long died while it started. */
const LONGEST_START_MS = 60_000;
const ANSWER_WITHIN_MS = 2_000;

/** Two clouds on one directory would ruin each other's tables. */
interface DirectoryLock {
  /** Lets others ask the holder whether it still lives. */
  announce(endpoint: string): Promise<void>;
  release(): Promise<void>;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function answers(endpoint: string, directory: string): Promise<boolean> {
  try {
    const response = await fetch(`${endpoint}/_chordfs/local`, {
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const state = (await response.json()) as { directory?: unknown };
    return state.directory === directory;
  } catch {
    return false;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A process id alone proves nothing: after a crash another program may have it. So its endpoint is asked too. */
async function isHeld(path: string, directory: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const parsed = lockSchema.safeParse(parseJson(text));
  if (!parsed.success || !isAlive(parsed.data.pid)) return false;
  if (parsed.data.endpoint !== undefined) return answers(parsed.data.endpoint, directory);
  const { mtimeMs } = await stat(path);
  // In a container the next start often has the very id that the crashed one had.
  return parsed.data.pid !== process.pid && Date.now() - mtimeMs < LONGEST_START_MS;
}

/** @throws Error when another local cloud uses the directory. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, 'cloud.lock');
  if (await isHeld(path, directory)) {
    throw new Error(`${directory} is in use by another local cloud: stop it, or use another --dir`);
  }
  await rm(path, { force: true });
  const file = await open(path, 'wx');
  await file.writeFile(JSON.stringify({ pid: process.pid }));
  await file.close();
  return {
    announce: (endpoint) => writeFile(path, JSON.stringify({ pid: process.pid, endpoint })),
    release: () => rm(path, { force: true }),
  };
}
