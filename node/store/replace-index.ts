import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { ChordfsError } from '../../domain/errors.ts';
import { openIndex, type StoreIndex } from './store-index.ts';

/** What lmdb says of a file whose pages make no sense. A version it does not know is not among them. */
const DAMAGE = /MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID|PANIC|CURSOR_FULL)/;

export function isIndexDamage(error: unknown): boolean {
  if (error instanceof ChordfsError) return error.code === 'CORRUPT';
  return error instanceof Error && DAMAGE.test(error.message);
}

/**
 * Opens the index and hands it to `use`. When its pages are damaged, it and the chunks it described are moved aside,
 * for people to look at, and `use` is given an empty one: this replica has lost everything then, which the other
 * replicas repair as they would for a new member.
 */
export async function openOrReplaceIndex<T>(
  directory: string,
  nowMs: number,
  use: (index: StoreIndex) => Promise<T>,
): Promise<T> {
  const folder = join(directory, 'index');
  try {
    return await openWith(folder, use);
  } catch (error) {
    if (!isIndexDamage(error)) throw error;
    const aside = join(directory, `damaged-${nowMs}`);
    mkdirSync(aside);
    for (const name of ['index', 'chunks']) {
      if (existsSync(join(directory, name))) renameSync(join(directory, name), join(aside, name));
    }
    return openWith(folder, use);
  }
}

async function openWith<T>(folder: string, use: (index: StoreIndex) => Promise<T>): Promise<T> {
  const index = openIndex(folder);
  try {
    return await use(index);
  } catch (error) {
    await index.close();
    throw error;
  }
}
