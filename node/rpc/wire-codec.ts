import { type Identifier, isIdentifier } from '../../domain/identifier.ts';
import { textOf } from './rpc-message.ts';

/**
 * Typed values to plain ones and back. Records travel as arrays in the order of their fields, so that a heartbeat is
 * some tens of bytes; a decoder accepts exactly what its encoder makes, within bounds, and throws on all else.
 */
export interface Codec<T> {
  encode(value: T): unknown;
  /** @throws MalformedError */
  decode(wire: unknown): T;
}

export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

function check<T>(isRight: (wire: unknown) => wire is T, what: string): Codec<T> {
  return {
    encode: (value) => value,
    decode: (wire) => {
      if (!isRight(wire)) throw new MalformedError(`not ${what}`);
      return wire;
    },
  };
}

export const identifierCodec: Codec<Identifier> = check(isIdentifier, 'an identifier');
export const booleanCodec: Codec<boolean> = check((wire) => typeof wire === 'boolean', 'a boolean');

/** A finite number in [min, max]; an integer unless `isFraction`. */
export function numberCodec({
  min,
  max,
  isFraction = false,
}: {
  readonly min: number;
  readonly max: number;
  readonly isFraction?: boolean;
}): Codec<number> {
  return check(
    (wire): wire is number =>
      typeof wire === 'number' && wire >= min && wire <= max && (isFraction || Number.isInteger(wire)),
    `a number in [${min}, ${max}]`,
  );
}

export function textCodec(maxLength: number): Codec<string> {
  return {
    encode: (value) => value,
    decode: (wire) => {
      const text = textOf(wire);
      if (text === undefined || text.length > maxLength) throw new MalformedError('not a short text');
      return text;
    },
  };
}

/** One of a closed list of words, sent as its index: add new words at the end. */
export function wordCodec<const T extends string>(words: readonly T[]): Codec<T> {
  return {
    encode: (value) => words.indexOf(value),
    decode: (wire) => {
      const word = typeof wire === 'number' ? words[wire] : undefined;
      if (word === undefined) throw new MalformedError('not a known word');
      return word;
    },
  };
}

export function optionalCodec<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    encode: (value) => (value === undefined ? null : codec.encode(value)),
    decode: (wire) => (wire === null || wire === undefined ? undefined : codec.decode(wire)),
  };
}

export function listCodec<T>(codec: Codec<T>, maxLength: number): Codec<readonly T[]> {
  return {
    encode: (values) => values.map((value) => codec.encode(value)),
    decode: (wire) => {
      if (!Array.isArray(wire) || wire.length > maxLength) throw new MalformedError('not a list in bounds');
      return wire.map((value: unknown) => codec.decode(value));
    },
  };
}

export function recordCodec<T extends object>(fields: { readonly [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  return {
    encode: (value) => names.map((name) => fields[name].encode(value[name])),
    decode: (wire) => {
      if (!Array.isArray(wire) || wire.length !== names.length) throw new MalformedError('not a record');
      return Object.fromEntries(names.map((name, i) => [name, fields[name].decode(wire[i])])) as T;
    },
  };
}

type Variant<U extends { kind: string }, K extends U['kind']> = Omit<Extract<U, { kind: K }>, 'kind'>;
type VariantCodecs<U extends { kind: string }> = { readonly [K in U['kind']]: Codec<Variant<U, K>> };

/** A union told apart by `kind`: `[kind, ...fields]`. */
export function unionCodec<U extends { kind: string }>(variants: VariantCodecs<U>): Codec<U> {
  const byKind = new Map(Object.entries(variants) as [string, Codec<object>][]);
  return {
    encode: (value) => {
      const fields = byKind.get(value.kind)?.encode(value);
      return [value.kind, ...(Array.isArray(fields) ? (fields as unknown[]) : [])];
    },
    decode: (wire) => {
      const [first, ...fields] = Array.isArray(wire) ? (wire as unknown[]) : [];
      const kind = textOf(first);
      const codec = kind === undefined ? undefined : byKind.get(kind);
      if (kind === undefined || codec === undefined) throw new MalformedError('not a known kind');
      return { kind, ...codec.decode(fields) } as U;
    },
  };
}
