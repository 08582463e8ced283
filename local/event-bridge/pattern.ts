import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { AwsError } from '../service.ts';

/** Decides whether one event is matched. */
export type EventMatcher = (event: unknown) => boolean;
/** Decides about one value of the event; undefined stands for a field that is not there. */
type ValueTest = (value: unknown) => boolean;

function invalid(reason: string): AwsError {
  return new AwsError('InvalidEventPatternException', `Event pattern is not valid. Reason: ${reason}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`${name} match pattern must be a non-empty string`);
}

function affix(operand: unknown, name: 'prefix' | 'suffix'): ValueTest {
  const ignoreCase = isObject(operand);
  const wanted = text(ignoreCase ? operand['equals-ignore-case'] : operand, name);
  const test = (value: string, part: string): boolean =>
    name === 'prefix' ? value.startsWith(part) : value.endsWith(part);
  return (value) =>
    typeof value === 'string' &&
    (ignoreCase ? test(value.toLowerCase(), wanted.toLowerCase()) : test(value, wanted));
}

function wildcard(operand: unknown): ValueTest {
  const pattern = text(operand, 'wildcard');
  if (pattern.includes('**')) throw invalid('Consecutive wildcard characters are not allowed');
  const source = pattern
    .split(/(\\\*|\\\\|\*)/)
    .map((part) =>
      part === '*' ? '[^]*' : part.replace(/^\\([*\\])$/, '$1').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('');
  const expression = new RegExp(`^${source}$`);
  return (value) => typeof value === 'string' && expression.test(value);
}

const COMPARISONS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
};

function numeric(operand: unknown): ValueTest {
  if (!Array.isArray(operand) || operand.length === 0 || operand.length % 2 !== 0) {
    throw invalid('numeric match needs pairs of operator and number');
  }
  const tests = Array.from({ length: operand.length / 2 }, (_, i) => {
    const compare = COMPARISONS[String(operand[2 * i])];
    const bound: unknown = operand[2 * i + 1];
    if (compare === undefined || typeof bound !== 'number') {
      throw invalid(`unrecognized numeric range ${JSON.stringify(operand)}`);
    }
    return (value: number) => compare(value, bound);
  });
  return (value) => typeof value === 'number' && tests.every((test) => test(value));
}

function cidr(operand: unknown): ValueTest {
  const block = text(operand, 'cidr');
  let parsed: ReturnType<typeof ipaddr.parseCIDR>;
  try {
    parsed = ipaddr.parseCIDR(block);
  } catch {
    throw invalid(`malformed CIDR ${block}`);
  }
  return (value) => {
    if (typeof value !== 'string' || isIP(value) === 0) return false;
    const address = ipaddr.parse(value);
    return address.kind() === parsed[0].kind() && address.match(parsed);
  };
}

function anythingBut(operand: unknown): ValueTest {
  if (isObject(operand)) {
    const [[name, inner] = ['', undefined]] = Object.entries(operand);
    const make = FILTERS[name];
    if (make === undefined || !['prefix', 'suffix', 'equals-ignore-case', 'wildcard'].includes(name)) {
      throw invalid(`unsupported anything-but pattern ${name}`);
    }
    const tests = [inner].flat().map((item) => make(item));
    return (value) => typeof value === 'string' && !tests.some((test) => test(value));
  }
  const excluded: unknown[] = [operand].flat();
  if (excluded.length === 0) throw invalid('anything-but list is empty');
  return (value) => value !== undefined && !excluded.includes(value);
}

function equalsIgnoreCase(operand: unknown): ValueTest {
  const wanted = text(operand, 'equals-ignore-case').toLowerCase();
  return (value) => typeof value === 'string' && value.toLowerCase() === wanted;
}

const FILTERS: Readonly<Record<string, (operand: unknown) => ValueTest>> = {
  prefix: (operand) => affix(operand, 'prefix'),
  suffix: (operand) => affix(operand, 'suffix'),
  'equals-ignore-case': equalsIgnoreCase,
  wildcard,
  numeric,
  cidr,
  'anything-but': anythingBut,
};

/** `exists` looks at the field itself, every other filter at one of its values. */
type FieldTest = (field: unknown) => boolean;

function fieldTest(item: unknown): FieldTest {
  if (!isObject(item)) {
    if (typeof item === 'object' && item !== null) throw invalid('match value must be a value or an object');
    return (field) => field !== undefined && [field].flat().some((value) => value === item);
  }
  const entries = Object.entries(item);
  const [[name, operand] = ['', undefined]] = entries;
  if (entries.length !== 1) throw invalid('only one key allowed in match expression');
  if (name === 'exists') {
    if (typeof operand !== 'boolean') throw invalid('exists match pattern must be either true or false');
    return (field) => (isObject(field) ? !operand : (field !== undefined) === operand);
  }
  const make = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (make === undefined) throw invalid(`unrecognized match type ${name}`);
  const test = make(operand);
  return (field) => [field].flat().some((value) => value !== undefined && test(value));
}

/** Events may hold lists of objects: a nested pattern matches when one of them does. */
function compileField(name: string, pattern: unknown): EventMatcher {
  if (Array.isArray(pattern)) {
    if (pattern.length === 0) throw invalid(`Empty arrays are not allowed (${name})`);
    const tests = pattern.map(fieldTest);
    return (event) => {
      const field = isObject(event) ? event[name] : undefined;
      return tests.some((test) => test(field));
    };
  }
  if (!isObject(pattern)) throw invalid(`"${name}" must be an object or an array`);
  const nested = compileObject(pattern);
  return (event) => {
    const field = isObject(event) ? event[name] : undefined;
    return Array.isArray(field) ? field.some((item) => nested(item)) : nested(field);
  };
}

function compileObject(pattern: Record<string, unknown>): EventMatcher {
  const entries = Object.entries(pattern);
  if (entries.length === 0) throw invalid('Empty objects are not allowed');
  const matchers = entries.map(([name, value]) => {
    if (name !== '$or') return compileField(name, value);
    if (!Array.isArray(value) || value.length < 2 || !value.every(isObject)) {
      throw invalid('$or needs a list of at least two objects');
    }
    const branches = value.map(compileObject);
    return (event: unknown) => branches.some((branch) => branch(event));
  });
  return (event) => matchers.every((matcher) => matcher(event));
}

/**
 * EventBridge's content filtering: exact values, prefix, suffix, equals-ignore-case, wildcard, numeric, cidr, exists,
 * anything-but and $or, nested as deep as the event. Input transformers are not part of it.
 * @throws AwsError `InvalidEventPatternException` as PutRule does.
 */
export function compilePattern(pattern: unknown): EventMatcher {
  let parsed = pattern;
  if (typeof pattern === 'string') {
    try {
      parsed = JSON.parse(pattern);
    } catch {
      throw invalid('not JSON');
    }
  }
  if (!isObject(parsed)) throw invalid('the pattern must be an object');
  return compileObject(parsed);
}
