import { isDeepStrictEqual } from 'node:util';
import type { StoredItem, TableWrite } from '../../domain/table-writes.ts';

/** DynamoDB's expressions, as far as the project's writes use them. */
type Placeholders = Pick<TableWrite, 'names' | 'values'>;

const TOKEN = /[()=,]|<>|<=|>=|[<>]|[#:]?\w+(?:\[\d+\])?(?:\.[#\w]+)?/g;

class Tokens {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = text.match(TOKEN) ?? [];
  }

  take(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error('the expression ends too early');
    return token;
  }

  takeIf(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }
}

/** The value at `#name`, `#name[0]` or `#name[0].#other`. */
function valueAt(item: StoredItem, path: string, { names }: Placeholders): unknown {
  const [, name = '', index, member] = /^(#\w+)(?:\[(\d+)\])?(?:\.(#\w+))?$/.exec(path) ?? [];
  const value = item[names[name] ?? ''];
  const element = index === undefined ? value : (value as unknown[] | undefined)?.[Number(index)];
  return member === undefined ? element : (element as StoredItem | undefined)?.[names[member] ?? ''];
}

export function holds(item: StoredItem, condition: string, placeholders: Placeholders): boolean {
  const tokens = new Tokens(condition);
  const either = (): boolean => {
    let result = both();
    // Both sides are read, whatever the first says: the tokens must be used up.
    while (tokens.takeIf('OR')) result = both() || result;
    return result;
  };
  const both = (): boolean => {
    let result = atom();
    while (tokens.takeIf('AND')) result = atom() && result;
    return result;
  };
  const atom = (): boolean => {
    if (!tokens.takeIf('(')) return comparison(item, tokens, placeholders);
    const result = either();
    tokens.take();
    return result;
  };
  return either();
}

function comparison(item: StoredItem, tokens: Tokens, placeholders: Placeholders): boolean {
  const first = tokens.take();
  if (first === 'attribute_exists' || first === 'attribute_not_exists') {
    tokens.take();
    const isPresent = valueAt(item, tokens.take(), placeholders) !== undefined;
    tokens.take();
    return isPresent === (first === 'attribute_exists');
  }
  const left = valueAt(item, first, placeholders);
  const operator = tokens.take();
  if (operator === 'IN') {
    const values: unknown[] = [];
    do {
      tokens.takeIf('(');
      values.push(placeholders.values[tokens.take()]);
    } while (tokens.takeIf(','));
    tokens.take();
    return values.some((value) => isDeepStrictEqual(value, left));
  }
  return compare(left, operator, placeholders.values[tokens.take()]);
}

/** As DynamoDB does: an absent attribute is unequal to everything, and neither less nor more. */
function compare(left: unknown, operator: string, right: unknown): boolean {
  if (operator === '=') return left !== undefined && isDeepStrictEqual(left, right);
  if (operator === '<>') return !isDeepStrictEqual(left, right);
  if (typeof left !== 'number' || typeof right !== 'number') return false;
  if (operator === '<') return left < right;
  if (operator === '<=') return left <= right;
  return operator === '>' ? left > right : left >= right;
}

export function apply(item: StoredItem, expression: string, placeholders: Placeholders): StoredItem {
  const { names } = placeholders;
  const changed: Record<string, unknown> = { ...item };
  const [, sets = '', removes = ''] = /^(?:SET (.*?))?(?: ?REMOVE (.*))?$/.exec(expression) ?? [];
  for (const assignment of splitOutside(sets)) {
    const [target = '', value = ''] = assignment.split(/ = (.*)/s);
    changed[names[target.trim()] ?? ''] = evaluate(item, value.trim(), placeholders);
  }
  for (const path of splitOutside(removes)) {
    const [, name = '', index] = /^(#\w+)(?:\[(\d+)\])?$/.exec(path.trim()) ?? [];
    const attribute = names[name] ?? '';
    const list = changed[attribute];
    if (index === undefined) delete changed[attribute];
    else if (Array.isArray(list)) changed[attribute] = list.filter((_, at) => at !== Number(index));
  }
  return changed;
}

/** `:v`, `if_not_exists(#n, :v) + :v` or `list_append(if_not_exists(#n, :v), :v)`. */
function evaluate(item: StoredItem, text: string, placeholders: Placeholders): unknown {
  const existing = /if_not_exists\((#\w+), (:\w+)\)/.exec(text);
  if (existing === null) return placeholders.values[text];
  const [whole, path = '', fallback = ''] = existing;
  const base = valueAt(item, path, placeholders) ?? placeholders.values[fallback];
  const operand = placeholders.values[/:\w+(?=\)?$)/.exec(text.replace(whole, ''))?.[0] ?? ''];
  if (text.startsWith('list_append')) return [...(base as unknown[]), ...(operand as unknown[])];
  return Number(base) + Number(operand);
}

/** Splits at commas that stand outside of parentheses. */
function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const character of text) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ',' && depth === 0) {
      parts.push(part);
      part = '';
    } else {
      part += character;
    }
  }
  return part.trim() === '' ? parts : [...parts, part];
}
