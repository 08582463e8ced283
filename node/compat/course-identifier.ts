import { type Identifier, identifier } from '../../domain/identifier.ts';

/**
 * The identifier the course's compiled node gives itself: `std::hash` of the address xor that of the decimal port,
 * cut to 32 bits. Nodes of both kinds meet in one ring, and graders compute the numbers themselves.
 */
export function courseIdentifier(ip: string, port: number): Identifier {
  return identifier(Number(BigInt.asUintN(32, stdHash(ip) ^ stdHash(String(port)))));
}

/** libstdc++'s seed for `std::hash<std::string>`. */
const SEED = 0xc70f6907n;
const MULTIPLIER = 0xc6a4a7935bd1e995n;
const WORD_BYTES = 8;

/** MurmurHash64A as libstdc++'s `_Hash_bytes` has it on 64-bit little-endian machines. */
export function stdHash(text: string): bigint {
  const bytes = Buffer.from(text, 'utf8');
  const wordsEnd = bytes.length - (bytes.length % WORD_BYTES);
  let hash = SEED ^ wrapped(BigInt(bytes.length) * MULTIPLIER);
  for (let at = 0; at < wordsEnd; at += WORD_BYTES) {
    hash ^= wrapped(shiftMix(wrapped(bytes.readBigUInt64LE(at) * MULTIPLIER)) * MULTIPLIER);
    hash = wrapped(hash * MULTIPLIER);
  }
  if (wordsEnd < bytes.length) {
    // The rest, as a little-endian number.
    for (let at = bytes.length - 1, rest = 0n; at >= wordsEnd; at--) {
      rest = (rest << 8n) | BigInt(bytes[at] ?? 0);
      if (at === wordsEnd) hash ^= rest;
    }
    hash = wrapped(hash * MULTIPLIER);
  }
  return shiftMix(wrapped(shiftMix(hash) * MULTIPLIER));
}

function shiftMix(value: bigint): bigint {
  return value ^ (value >> 47n);
}

function wrapped(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
