import { ChordfsError } from '../../domain/errors.ts';

/** As on every Linux file system, where the node shows its files: longer names could not be shown. */
const MAX_NAME_BYTES = 255;
/** Half of a UTF-16 pair has no UTF-8 form: two such names would become one. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** @throws ChordfsError `INVALID_FILE_NAME` for a name that is empty, too long, a path, or not text. */
export function checkFileName(name: string): void {
  const sizeBytes = Buffer.byteLength(name);
  const isPath = name === '.' || name === '..' || name.includes('/') || name.includes('\0');
  if (sizeBytes === 0 || sizeBytes > MAX_NAME_BYTES || isPath || LONE_SURROGATE.test(name)) {
    throw new ChordfsError('INVALID_FILE_NAME', { sizeBytes });
  }
}

/** The n-th name to try when `name` is taken: `base (n).ext`, by the last extension only, as uploadserver does. */
export function renamedFile(name: string, n: number): string {
  const dot = name.lastIndexOf('.');
  const split = dot > 0 ? dot : name.length;
  return `${name.slice(0, split)} (${n})${name.slice(split)}`;
}
