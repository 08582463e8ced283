import { AwsError } from '../service.ts';

export interface Filter {
  readonly Name?: string | undefined;
  readonly Values?: readonly string[] | undefined;
}

/** `*` and `?` as EC2's filters have them; everything else literally. */
function matcher(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's');
}

/** Backtracking of many stars is what makes a pattern slow; no honest filter has them. */
const MAX_PATTERN_LENGTH = 255;

/** The values one resource offers to one filter; undefined: there is no filter of that name. */
export type FilterValues = (name: string) => readonly string[] | undefined;

/**
 * Whether a resource passes all filters: any value of each.
 * @throws AwsError `InvalidParameterValue` for a filter that does not exist.
 */
export function passes(filters: readonly Filter[] | undefined, valuesOf: FilterValues): boolean {
  return (filters ?? []).every(({ Name = '', Values = [] }) => {
    const offered = valuesOf(Name);
    if (offered === undefined) {
      throw new AwsError('InvalidParameterValue', `The filter '${Name}' is invalid`);
    }
    return Values.some((pattern) => {
      const parts = pattern.replace(/\*+/g, '*');
      if (parts.length > MAX_PATTERN_LENGTH)
        throw new AwsError('InvalidParameterValue', 'A filter value is too long');
      const expression = matcher(parts);
      return offered.some((value) => expression.test(value));
    });
  });
}

/** The `tag:KEY` and `tag-key` filters, the same for every resource; undefined for other names. */
export function tagValues(
  name: string,
  tags: Readonly<Record<string, string>>,
): readonly string[] | undefined {
  if (name === 'tag-key') return Object.keys(tags);
  if (name === 'tag-value') return Object.values(tags);
  if (!name.startsWith('tag:')) return undefined;
  const value = tags[name.slice('tag:'.length)];
  return value === undefined ? [] : [value];
}
