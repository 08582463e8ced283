import type { NormalizedSchema } from '@smithy/core/schema';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#xD;',
};

/** Characters that XML 1.0 cannot carry at all are replaced; clients' parsers would reject the whole answer. */
export function escapeXml(text: string): string {
  return text
    .replace(/[&<>"\r]/g, (character) => ESCAPES[character] ?? character)
    .replace(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\uFFFD');
}

export function element(name: string, content: string): string {
  return content === '' ? `<${name}/>` : `<${name}>${content}</${name}>`;
}

function scalarText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return escapeXml(String(value));
}

const isPresent = (value: unknown): boolean => value !== undefined && value !== null;

function listItems(schema: NormalizedSchema, value: unknown, name: string): string {
  const member = schema.getValueSchema();
  return (Array.isArray(value) ? value : [])
    .filter(isPresent)
    .map((item) => element(name, contentOf(member, item)))
    .join('');
}

function mapEntries(schema: NormalizedSchema, value: object, name: string): string {
  const keyName = String(schema.getKeySchema().getMergedTraits().xmlName ?? 'key');
  const member = schema.getValueSchema();
  const valueName = String(member.getMergedTraits().xmlName ?? 'value');
  return Object.entries(value)
    .filter(([, item]) => isPresent(item))
    .map(([key, item]) =>
      element(name, element(keyName, escapeXml(key)) + element(valueName, contentOf(member, item))),
    )
    .join('');
}

/** One member of a structure: flattened lists and maps repeat the element instead of nesting. */
function memberElements(name: string, schema: NormalizedSchema, value: unknown): string {
  const wire = String(schema.getMemberTraits().xmlName ?? name);
  const isFlat = schema.getMergedTraits().xmlFlattened !== undefined;
  if (isFlat && schema.isListSchema()) return listItems(schema, value, wire);
  if (isFlat && schema.isMapSchema() && typeof value === 'object' && value !== null) {
    return mapEntries(schema, value, wire);
  }
  return element(wire, contentOf(schema, value));
}

/** What stands between the tags of a value of this schema. Members that the schema does not know are left out. */
export function contentOf(schema: NormalizedSchema, value: unknown): string {
  if (schema.isUnitSchema() || !isPresent(value)) return '';
  if (schema.isListSchema()) {
    return listItems(schema, value, String(schema.getValueSchema().getMergedTraits().xmlName ?? 'member'));
  }
  if (schema.isMapSchema()) return mapEntries(schema, Object(value), 'entry');
  if (schema.isStructSchema()) {
    const fields = value as Readonly<Record<string, unknown>>;
    return [...schema.structIterator()]
      .filter(([name]) => isPresent(fields[name]))
      .map(([name, member]) => memberElements(name, member, fields[name]))
      .join('');
  }
  return scalarText(value);
}
