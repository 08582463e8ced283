import { createHash } from 'node:crypto';
import { type Identifier, identifier } from './identifier.ts';

/** Where a file's record lives: the low 32 bits of the MD5 of its UTF-8 name, as the course's clients compute it. */
export function hashName(name: string): Identifier {
  return identifier(createHash('md5').update(name, 'utf8').digest().readUInt32BE(12));
}

/**
 * Where chunk `index` of a multi-chunk file lives. The upload id, unique to one upload, keeps chunks of two
 * versions apart; hashing spreads one big file over all members.
 */
export function hashChunk(name: string, index: number, uploadId: string): Identifier {
  return hashName(`${name}.${index}@${uploadId}`);
}
