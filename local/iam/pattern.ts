import type { Context } from './conditions.ts';

/** IAM's wildcards: `*` for any run of characters, `?` for one. Case counts. */
export function matchesPattern(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

/**
 * Puts policy variables in: `${aws:SourceIp}` becomes the key's value, `${key, 'default'}` its default, `${*}`, `${?}`
 * and `${$}` the bare character. Undefined when a variable has no value: what names it then matches nothing.
 */
export function substitute(pattern: string, context: Context): string | undefined {
  let isComplete = true;
  const text = pattern.replace(/\$\{([^}]*)\}/g, (_, variable: string) => {
    if (['*', '?', '$'].includes(variable)) return variable;
    const [, key = '', fallback] = /^([^,]+?)\s*(?:,\s*'(.*)')?$/.exec(variable) ?? [];
    const values = context.get(key.toLowerCase());
    const value = values?.length === 1 ? values[0] : fallback;
    if (value === undefined) isComplete = false;
    return value ?? '';
  });
  return isComplete ? text : undefined;
}
