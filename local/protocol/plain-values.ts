import type { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../service.ts';

/**
 * Between the plain values of JSON and CBOR and the API's own types: only timestamps and blobs differ, so one walk
 * along the schema serves both formats in both directions.
 */

const badInput = (name: string | undefined): AwsError =>
  new AwsError('SerializationException', `Unexpected value${name === undefined ? '' : ` for ${name}`}.`);

function timestampFrom(value: unknown, name: string | undefined): Date {
  // CBOR carries epoch seconds under tag 1, which the decoder leaves in place.
  const seconds =
    typeof value === 'object' && value !== null && 'tag' in value && 'value' in value ? value.value : value;
  const date =
    seconds instanceof Date
      ? seconds
      : new Date(typeof seconds === 'number' ? seconds * 1000 : String(seconds));
  if (Number.isNaN(date.getTime())) throw badInput(name);
  return date;
}

function leafFrom(schema: NormalizedSchema, value: unknown): unknown {
  const name = schema.getMemberName();
  if (schema.isTimestampSchema()) return timestampFrom(value, name);
  if (schema.isBlobSchema()) {
    if (value instanceof Uint8Array) return value;
    if (typeof value !== 'string') throw badInput(name);
    return new Uint8Array(Buffer.from(value, 'base64'));
  }
  if (schema.isStringSchema() && typeof value !== 'string') throw badInput(name);
  if (schema.isBooleanSchema() && typeof value !== 'boolean') throw badInput(name);
  if (schema.isNumericSchema()) {
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number !== 'number') throw badInput(name);
    return number;
  }
  return value;
}

/** @throws AwsError `SerializationException` when a value does not have its member's type. */
export function fromPlain(schema: NormalizedSchema, value: unknown): unknown {
  if (schema.isUnitSchema()) return {};
  if (value === undefined || value === null) return undefined;
  if (schema.isListSchema()) {
    if (!Array.isArray(value)) throw badInput(schema.getMemberName());
    const member = schema.getValueSchema();
    return value.filter((item) => item !== null).map((item) => fromPlain(member, item));
  }
  if (schema.isMapSchema() || schema.isStructSchema()) {
    if (typeof value !== 'object' || Array.isArray(value)) throw badInput(schema.getMemberName());
    const fields = value as Readonly<Record<string, unknown>>;
    const members: Iterable<[string, NormalizedSchema]> = schema.isMapSchema()
      ? Object.keys(fields).map((key) => [key, schema.getValueSchema()] as [string, NormalizedSchema])
      : schema.structIterator();
    const entries = [...members]
      .filter(([name]) => Object.hasOwn(fields, name) && fields[name] !== null)
      .map(([name, member]) => [name, fromPlain(member, fields[name])] as const);
    return Object.fromEntries(entries);
  }
  return leafFrom(schema, value);
}

/** How a format writes what plain values lack. */
export interface PlainFormat {
  timestamp(value: Date): unknown;
  blob(value: Uint8Array): unknown;
}

/** Drops members that the schema does not know, so that internals of a service never leak onto the wire. */
export function toPlain(schema: NormalizedSchema, value: unknown, format: PlainFormat): unknown {
  if (value === undefined || value === null) return undefined;
  if (schema.isUnitSchema()) return {};
  if (schema.isListSchema()) {
    const member = schema.getValueSchema();
    return Array.isArray(value) ? value.map((item) => toPlain(member, item, format)) : [];
  }
  if (schema.isMapSchema()) {
    const member = schema.getValueSchema();
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, toPlain(member, item, format)]),
    );
  }
  if (schema.isStructSchema()) {
    const fields = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(
      [...schema.structIterator()]
        .filter(([name]) => fields[name] !== undefined && fields[name] !== null)
        .map(([name, member]) => [name, toPlain(member, fields[name], format)]),
    );
  }
  if (value instanceof Date) return format.timestamp(value);
  if (value instanceof Uint8Array) return format.blob(value);
  return value;
}
