import { crc32 } from 'node:zlib';
import type { ItemHash } from './item-hash.ts';

/**
 * How a value lies in the index: a checksum over its key and itself, a summary that digests need without parsing the
 * rest, then JSON. The key is under the checksum too, so a value that turns up under another's key is damage as well.
 */
export interface SealedEntry {
  readonly hash: ItemHash;
  readonly sizeBytes: number;
  /** False for tombstones: kept, but not counted as a file. */
  readonly isLive: boolean;
  readonly json: string;
}

/** Grows when the layout changes; an unknown format reads as damage and is repaired from a replica. */
const FORMAT = 1;
const CHECKSUM_AT = 1;
const HASH_AT = 5;
const SIZE_AT = 13;
const LIVE_AT = 21;
const JSON_AT = 22;

export function seal(key: Uint8Array, { hash, sizeBytes, isLive, json }: SealedEntry): Buffer {
  const value = Buffer.allocUnsafe(JSON_AT + Buffer.byteLength(json));
  value[0] = FORMAT;
  value.writeUInt32BE(hash.high >>> 0, HASH_AT);
  value.writeUInt32BE(hash.low >>> 0, HASH_AT + 4);
  value.writeDoubleBE(sizeBytes, SIZE_AT);
  value[LIVE_AT] = isLive ? 1 : 0;
  value.write(json, JSON_AT);
  value.writeUInt32BE(checksum(key, value), CHECKSUM_AT);
  return value;
}

/** The summary alone; undefined when the value is damaged. */
export function unsealSummary(key: Uint8Array, value: Buffer): Omit<SealedEntry, 'json'> | undefined {
  if (value.byteLength < JSON_AT || value[0] !== FORMAT) return undefined;
  if (value.readUInt32BE(CHECKSUM_AT) !== checksum(key, value)) return undefined;
  return {
    hash: { high: value.readUInt32BE(HASH_AT), low: value.readUInt32BE(HASH_AT + 4) },
    sizeBytes: value.readDoubleBE(SIZE_AT),
    isLive: value[LIVE_AT] === 1,
  };
}

/** Undefined when the value is damaged. */
export function unseal(key: Uint8Array, value: Buffer): SealedEntry | undefined {
  const summary = unsealSummary(key, value);
  return summary === undefined ? undefined : { ...summary, json: value.toString('utf8', JSON_AT) };
}

/** CRC-32 finds every error of up to 32 bits in a row, so every flipped byte. */
function checksum(key: Uint8Array, value: Buffer): number {
  return crc32(value.subarray(HASH_AT), crc32(key));
}
