import { AwsError } from './service.ts';

export interface Filter {
  readonly Name?: string | undefined;
  readonly Values?: readonly string[] | undefined;
}

/**
 * `*` and `?` as EC2's filters have them; everything else literally. Written out rather than turned into a regular
 * expression, whose backtracking a hostile pattern could drive for hours.
 */
export function matchesPattern(text: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let retryAt = 0;
  let i = 0;
  while (at < text.length) {
    if (pattern[i] === '*') {
      star = i++;
      retryAt = at;
    } else if (i < pattern.length && (pattern[i] === '?' || pattern[i] === text[at])) {
      i++;
      at++;
    } else if (star >= 0) {
      // The last star takes one character more.
      i = star + 1;
      at = ++retryAt;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(i));
}

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
    return Values.some((pattern) => offered.some((value) => matchesPattern(value, pattern)));
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
