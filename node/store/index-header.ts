import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { ChordfsError } from '../../domain/errors.ts';

/**
 * lmdb maps its file and believes what it reads there: a damaged header ends the process instead of raising an error.
 * So the two header pages are looked at before it opens the file. Offsets are those of lmdb's data format 2 on
 * 64-bit little-endian machines.
 */
const FLAGS_AT = 18;
const MAGIC_AT = 24;
const VERSION_AT = 28;
const PAGE_SIZE_AT = 48;
const ROOTS_AT = [88, 136] as const;
const HEADER_BYTES = 168;

const META_PAGE_FLAG = 0x08;
const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const MIN_PAGE_BYTES = 512;
const MAX_PAGE_BYTES = 65_536;
const NO_ROOT = 0xffff_ffff_ffff_ffffn;

function isSound(page: Buffer, fileBytes: number): boolean {
  const pageBytes = page.readUInt32LE(PAGE_SIZE_AT);
  return (
    (page.readUInt16LE(FLAGS_AT) & META_PAGE_FLAG) !== 0 &&
    page.readUInt32LE(MAGIC_AT) === MAGIC &&
    page.readUInt32LE(VERSION_AT) === FORMAT &&
    pageBytes >= MIN_PAGE_BYTES &&
    pageBytes <= MAX_PAGE_BYTES &&
    Number.isInteger(Math.log2(pageBytes)) &&
    ROOTS_AT.map((at) => page.readBigUInt64LE(at)).every(
      (root) => root === NO_ROOT || root * BigInt(pageBytes) < BigInt(fileBytes),
    )
  );
}

/** A file that is absent or empty is a new index. @throws ChordfsError `CORRUPT` */
export function checkIndexHeader(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return;
  }
  try {
    const fileBytes = fstatSync(fd).size;
    if (fileBytes === 0) return;
    const first = readAt(fd, 0);
    const pageBytes = first.readUInt32LE(PAGE_SIZE_AT);
    if (!isSound(first, fileBytes) || !isSound(readAt(fd, pageBytes), fileBytes)) {
      throw new ChordfsError('CORRUPT', { part: 'index' });
    }
  } finally {
    closeSync(fd);
  }
}

function readAt(fd: number, position: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  readSync(fd, bytes, 0, HEADER_BYTES, position);
  return bytes;
}
