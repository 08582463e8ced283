import ipaddr from 'ipaddr.js';
import { matchesPattern, substitute } from './pattern.ts';

/** Values of condition keys in one request; keys in lower case, because IAM compares them so. Absent: not there. */
export type Context = ReadonlyMap<string, readonly string[]>;

type Comparison = (actual: string, wanted: string) => boolean;

function numeric(compare: (a: number, b: number) => boolean): Comparison {
  return (actual, wanted) => {
    const [a, b] = [Number(actual), Number(wanted)];
    return actual.trim() !== '' && !Number.isNaN(a) && !Number.isNaN(b) && compare(a, b);
  };
}

function dated(compare: (a: number, b: number) => boolean): Comparison {
  // Epoch seconds are allowed beside ISO 8601.
  const ms = (text: string): number => (/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text));
  return (actual, wanted) => !Number.isNaN(ms(actual)) && compare(ms(actual), ms(wanted));
}

function inRange(actual: string, wanted: string): boolean {
  if (!ipaddr.isValid(actual)) return false;
  const range = wanted.includes('/')
    ? wanted
    : `${wanted}/${ipaddr.parse(wanted).kind() === 'ipv4' ? 32 : 128}`;
  const address = ipaddr.parse(actual);
  const [network, bits] = ipaddr.parseCIDR(range);
  return address.kind() === network.kind() && address.match(network, bits);
}

const equals: Comparison = (actual, wanted) => actual === wanted;
const equalsIgnoringCase: Comparison = (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase();

/** Arns are compared part by part: a wildcard does not reach over a colon. */
const arnLike: Comparison = (actual, wanted) => {
  const [a, b] = [actual, wanted].map((arn) => arn.split(':'));
  if (a === undefined || b === undefined || a.length < 6 || b.length < 6) return false;
  const [resource, pattern] = [a, b].map((parts) => parts.slice(5).join(':'));
  return (
    a.slice(0, 5).every((part, i) => matchesPattern(b[i] ?? '', part)) &&
    matchesPattern(pattern ?? '', resource ?? '')
  );
};

/** The positive comparisons; a negated operator is one of these, turned round over the whole list. */
const POSITIVE: Readonly<Record<string, Comparison>> = {
  StringEquals: equals,
  StringEqualsIgnoreCase: equalsIgnoringCase,
  StringLike: (actual, wanted) => matchesPattern(wanted, actual),
  NumericEquals: numeric((a, b) => a === b),
  NumericLessThan: numeric((a, b) => a < b),
  NumericLessThanEquals: numeric((a, b) => a <= b),
  NumericGreaterThan: numeric((a, b) => a > b),
  NumericGreaterThanEquals: numeric((a, b) => a >= b),
  DateEquals: dated((a, b) => a === b),
  DateLessThan: dated((a, b) => a < b),
  DateLessThanEquals: dated((a, b) => a <= b),
  DateGreaterThan: dated((a, b) => a > b),
  DateGreaterThanEquals: dated((a, b) => a >= b),
  Bool: equalsIgnoringCase,
  BinaryEquals: equals,
  IpAddress: inRange,
  ArnEquals: arnLike,
  ArnLike: arnLike,
};
const NEGATED: Readonly<Record<string, Comparison>> = {
  StringNotEquals: equals,
  StringNotEqualsIgnoreCase: equalsIgnoringCase,
  StringNotLike: (actual, wanted) => matchesPattern(wanted, actual),
  NumericNotEquals: numeric((a, b) => a === b),
  DateNotEquals: dated((a, b) => a === b),
  NotIpAddress: inRange,
  ArnNotEquals: arnLike,
  ArnNotLike: arnLike,
};

/** A condition operator that is not evaluated here: whatever depends on it is refused. */
export class UnknownOperator extends Error {
  override readonly name = 'UnknownOperator';
}

/**
 * One key of one operator, by the rules of the IAM user guide ("multivalued context keys"): several wanted values
 * are alternatives; a negated operator must differ from all of them; an absent key fails a positive operator and
 * meets a negated one; `ForAllValues` is met by an absent key, `ForAnyValue` never.
 * @throws UnknownOperator
 */
function keyHolds(
  operator: string,
  wanted: readonly string[],
  actual: readonly string[] | undefined,
): boolean {
  const [, quantifier, name = '', ifExists] =
    /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(operator) ?? [];
  if (name === 'Null' && quantifier === undefined) {
    return wanted.some((value) => (value === 'true') === (actual === undefined));
  }
  const [positive, negated] = [POSITIVE[name], NEGATED[name]];
  const comparison = positive ?? negated;
  if (comparison === undefined) throw new UnknownOperator(`condition operator ${operator}`);
  const holdsFor = (value: string): boolean =>
    wanted.some((candidate) => comparison(value, candidate)) === (negated === undefined);
  if (quantifier === 'ForAllValues') return (actual ?? []).every(holdsFor);
  if (quantifier === 'ForAnyValue')
    return (actual ?? []).some(holdsFor) || (ifExists !== undefined && !actual);
  if (actual === undefined) return ifExists !== undefined || negated !== undefined;
  // Without a quantifier a key has one value; several would be a mistake of the service.
  return actual.length === 1 && actual.every(holdsFor);
}

/** Whether every key of every operator of a `Condition` block holds. @throws UnknownOperator */
export function conditionHolds(
  condition: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>,
  context: Context,
): boolean {
  return Object.entries(condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, values]) => {
      const wanted = values.flatMap((value) => substitute(value, context) ?? []);
      return keyHolds(operator, wanted, context.get(key.toLowerCase()));
    }),
  );
}
