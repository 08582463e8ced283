import type { NormalizedSchema } from '@smithy/core/schema';
import { AwsError } from '../service.ts';

/** A static structure's last element counts its required members, which come first. */
function requiredNames(schema: NormalizedSchema): readonly string[] {
  const table: unknown = schema.getSchema();
  if (!Array.isArray(table) || !Array.isArray(table[4])) return [];
  return table[4].slice(0, typeof table[6] === 'number' ? table[6] : 0).map(String);
}

/**
 * AWS's answer to a request that lacks required members of its input, top level only: deeper ones are the
 * operation's own business.
 * @throws AwsError `ValidationError` in the words of Auto Scaling and CloudWatch.
 */
export function checkRequired(schema: NormalizedSchema, input: unknown): void {
  const fields = input as Readonly<Record<string, unknown>>;
  const missing = requiredNames(schema).filter((name) => fields[name] === undefined);
  if (missing.length === 0) return;
  const errors = missing.map((name) => {
    const path = name.charAt(0).toLowerCase() + name.slice(1);
    return `Value null at '${path}' failed to satisfy constraint: Member must not be null`;
  });
  const plural = errors.length === 1 ? '' : 's';
  const message = `${errors.length} validation error${plural} detected: ${errors.join('; ')}`;
  throw new AwsError('ValidationError', message);
}
