import type { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../service.ts';

/** `A.member.1.B=v` as a tree. A node may carry a value, children, or both. */
interface FormNode {
  value: string | undefined;
  readonly children: Map<string, FormNode>;
}

/** Real requests stay far below; the bounds keep a hostile form from building a deep or huge tree. */
const MAX_PARAMETERS = 10_000;
const MAX_DEPTH = 32;

function treeOf(form: URLSearchParams): FormNode {
  const root: FormNode = { value: undefined, children: new Map() };
  let count = 0;
  for (const [name, value] of form) {
    const path = name.split('.');
    if (++count > MAX_PARAMETERS || path.length > MAX_DEPTH) {
      throw new AwsError('MalformedQueryString', 'The query string is too large.');
    }
    let node = root;
    for (const part of path) {
      let child = node.children.get(part);
      if (child === undefined) {
        child = { value: undefined, children: new Map() };
        node.children.set(part, child);
      }
      node = child;
    }
    node.value = value;
  }
  return root;
}

const malformed = (value: string): AwsError =>
  new AwsError('MalformedInput', `Could not interpret the value ${JSON.stringify(value.slice(0, 100))}.`);

function scalar(schema: NormalizedSchema, text: string): unknown {
  if (schema.isBooleanSchema()) {
    if (text === 'true' || text === 'false') return text === 'true';
    throw malformed(text);
  }
  if (schema.isNumericSchema() || schema.isBigIntegerSchema()) {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) throw malformed(text);
    return value;
  }
  if (schema.isTimestampSchema()) {
    const value = /^\d+(\.\d+)?$/.test(text) ? new Date(Number(text) * 1000) : new Date(text);
    if (Number.isNaN(value.getTime())) throw malformed(text);
    return value;
  }
  if (schema.isBlobSchema()) return new Uint8Array(Buffer.from(text, 'base64'));
  return text;
}

/** Children with numeric names, in numeric order: clients may send them in any. */
function numbered(node: FormNode): FormNode[] {
  return [...node.children]
    .filter(([name]) => /^\d{1,6}$/.test(name))
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, child]) => child);
}

function list(schema: NormalizedSchema, node: FormNode, isEc2: boolean): unknown[] {
  const member = schema.getValueSchema();
  const wrapper = member.getMergedTraits().xmlName ?? 'member';
  // Accepting the flat form for everyone costs nothing: a member named like a number does not exist.
  const items = numbered(node.children.get(wrapper) ?? node);
  return items.map((item) => fromNode(member, item, isEc2));
}

function map(schema: NormalizedSchema, node: FormNode, isEc2: boolean): Record<string, unknown> {
  const keyName = schema.getKeySchema().getMergedTraits().xmlName ?? 'key';
  const value = schema.getValueSchema();
  const valueName = value.getMergedTraits().xmlName ?? 'value';
  const entries = numbered(node.children.get('entry') ?? node).flatMap((entry) => {
    const key = entry.children.get(keyName)?.value;
    const content = entry.children.get(valueName);
    return key === undefined || content === undefined
      ? []
      : [[key, fromNode(value, content, isEc2)] as const];
  });
  return Object.fromEntries(entries);
}

function wireName(name: string, member: NormalizedSchema, isEc2: boolean): string {
  const { xmlName, ec2QueryName } = member.getMergedTraits();
  if (!isEc2) return String(xmlName ?? name);
  const key = String(ec2QueryName ?? xmlName ?? name);
  return key.charAt(0).toUpperCase() + key.slice(1);
}

function fromNode(schema: NormalizedSchema, node: FormNode, isEc2: boolean): unknown {
  if (schema.isListSchema()) return list(schema, node, isEc2);
  if (schema.isMapSchema()) return map(schema, node, isEc2);
  if (schema.isStructSchema()) {
    const result: Record<string, unknown> = {};
    for (const [name, member] of schema.structIterator()) {
      const child = node.children.get(wireName(name, member, isEc2));
      if (child !== undefined) result[name] = fromNode(member, child, isEc2);
    }
    return result;
  }
  return node.value === undefined ? undefined : scalar(schema, node.value);
}

/**
 * The input of an operation, out of a query request's form. Unknown parameters are ignored, as AWS does.
 * @throws AwsError `MalformedInput` when a value does not have its member's type.
 */
export function queryInput(
  schema: NormalizedSchema,
  form: URLSearchParams,
  options: { readonly isEc2: boolean },
): unknown {
  return schema.isUnitSchema() ? {} : fromNode(schema, treeOf(form), options.isEc2);
}
