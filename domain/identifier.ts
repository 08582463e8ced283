/**
 * The identifier circle of Chord: 32-bit unsigned numbers, clockwise, modulo 2^32.
 *
 * Identifiers only route. Two names may share one, so nothing is ever stored under an identifier alone.
 */

declare const brand: unique symbol;
/** A point on the circle: an integer in [0, 2^32). */
export type Identifier = number & { readonly [brand]: 'Identifier' };

export const RING_SIZE = 2 ** 32;

/** Whether a value from outside is a valid identifier. */
export function isIdentifier(value: unknown): value is Identifier {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < RING_SIZE;
}

/** Wraps any integer onto the circle. */
export function identifier(value: number): Identifier {
  return (value >>> 0) as Identifier;
}

/** Steps from `from` clockwise to `to`; 0 when they are equal. */
export function clockwiseDistance(from: Identifier, to: Identifier): number {
  return (to - from) >>> 0;
}

/** `id` in the open arc (from, to). With `from` = `to` the arc is the whole circle but that point. */
export function inOpenArc(id: Identifier, from: Identifier, to: Identifier): boolean {
  if (from === to) return id !== from;
  return id !== from && id !== to && clockwiseDistance(from, id) < clockwiseDistance(from, to);
}

/** `id` in (from, to], the arc that `to` is responsible for. With `from` = `to` the arc is the whole circle. */
export function inArc(id: Identifier, from: Identifier, to: Identifier): boolean {
  if (from === to) return true;
  return id !== from && clockwiseDistance(from, id) <= clockwiseDistance(from, to);
}

/** How identifiers look in logs and in the table: 8 hex digits. */
export function formatIdentifier(id: Identifier): string {
  return id.toString(16).padStart(8, '0');
}

/** The inverse of `formatIdentifier`; undefined for anything else. */
export function parseIdentifier(text: string): Identifier | undefined {
  return /^[0-9a-f]{8}$/.test(text) ? identifier(Number.parseInt(text, 16)) : undefined;
}
