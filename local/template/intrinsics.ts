import ipaddr from 'ipaddr.js';
import { TemplateError } from './template.ts';

/** What the intrinsic functions may look at. `ref` and `getAtt` throw for resources that do not exist yet. */
export interface Scope {
  ref(name: string): unknown;
  getAtt(logicalId: string, attribute: string): unknown;
  condition(name: string): boolean;
  findInMap(map: string, first: string, second: string): unknown;
  readonly region: string;
}

/** `AWS::NoValue`: the property or list entry that evaluates to it does not exist. */
const NO_VALUE: unique symbol = Symbol('AWS::NoValue');

type Intrinsic = (argument: unknown, scope: Scope) => unknown;

function asList(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new TemplateError(`${where} needs a list, not ${JSON.stringify(value)}`);
}

function asText(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new TemplateError(`${where} needs text, not ${JSON.stringify(value)}`);
}

function truth(value: unknown, scope: Scope): boolean {
  const result = evaluate(value, scope);
  if (result === true || result === 'true') return true;
  if (result === false || result === 'false') return false;
  throw new TemplateError(`a condition must be true or false, not ${JSON.stringify(result)}`);
}

function substitute(argument: unknown, scope: Scope): string {
  const [text, variables] = Array.isArray(argument) ? argument : [argument, {}];
  const own = (variables ?? {}) as Record<string, unknown>;
  return asText(text, 'Fn::Sub').replace(/\$\{(!?)([^}]+)\}/g, (_, literal: string, reference: string) => {
    const name = reference.trim();
    if (literal === '!') return `\${${reference}}`;
    if (Object.hasOwn(own, name)) return asText(evaluate(own[name], scope), `Fn::Sub \${${name}}`);
    const dot = name.indexOf('.');
    const value = dot === -1 ? scope.ref(name) : scope.getAtt(name.slice(0, dot), name.slice(dot + 1));
    return asText(value, `Fn::Sub \${${name}}`);
  });
}

function select(argument: unknown, scope: Scope): unknown {
  const [index, list] = asList(argument, 'Fn::Select');
  const items = asList(evaluate(list, scope), 'Fn::Select');
  const item = items[Number(evaluate(index, scope))];
  if (item === undefined) throw new TemplateError(`Fn::Select ${String(index)} of ${items.length} items`);
  return item;
}

function cidr(argument: unknown, scope: Scope): string[] {
  const [block, count, bits] = asList(evaluate(argument, scope), 'Fn::Cidr');
  const [address, prefix] = ipaddr.IPv4.parseCIDR(asText(block, 'Fn::Cidr'));
  const sizeBits = Number(bits ?? 8);
  if (32 - sizeBits < prefix)
    throw new TemplateError(`Fn::Cidr: ${block} holds no block of ${sizeBits} bits`);
  const first = address.toByteArray().reduce((sum, byte) => sum * 256 + byte, 0);
  return Array.from({ length: Number(count) }, (_, i) => {
    const start = first + i * 2 ** sizeBits;
    const bytes = [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256);
    return `${bytes.join('.')}/${32 - sizeBits}`;
  });
}

function getAtt(argument: unknown, scope: Scope): unknown {
  const parts = typeof argument === 'string' ? argument.split(/\.(.*)/s) : asList(argument, 'Fn::GetAtt');
  const logicalId = asText(parts[0], 'Fn::GetAtt');
  return scope.getAtt(logicalId, asText(evaluate(parts[1], scope), `Fn::GetAtt of ${logicalId}`));
}

function join(argument: unknown, scope: Scope): string {
  const [separator, list] = asList(argument, 'Fn::Join');
  const items = asList(evaluate(list, scope), 'Fn::Join');
  return items.map((item) => asText(item, 'Fn::Join')).join(asText(separator, 'Fn::Join'));
}

const INTRINSICS: Readonly<Record<string, Intrinsic>> = {
  Ref: (name, scope) => (name === 'AWS::NoValue' ? NO_VALUE : scope.ref(asText(name, 'Ref'))),
  Condition: (name, scope) => scope.condition(asText(name, 'Condition')),
  'Fn::GetAtt': getAtt,
  'Fn::Sub': substitute,
  'Fn::Join': join,
  'Fn::Select': select,
  'Fn::Cidr': cidr,
  'Fn::Split': (argument, scope) => {
    const [separator, text] = asList(argument, 'Fn::Split');
    return asText(evaluate(text, scope), 'Fn::Split').split(asText(separator, 'Fn::Split'));
  },
  'Fn::FindInMap': (argument, scope) => {
    const keys = asList(evaluate(argument, scope), 'Fn::FindInMap').map((key) =>
      asText(key, 'Fn::FindInMap'),
    );
    return scope.findInMap(keys[0] ?? '', keys[1] ?? '', keys[2] ?? '');
  },
  'Fn::Base64': (argument, scope) =>
    Buffer.from(asText(evaluate(argument, scope), 'Fn::Base64')).toString('base64'),
  'Fn::GetAZs': (_, scope) => ['a', 'b', 'c'].map((zone) => `${scope.region}${zone}`),
  'Fn::If': (argument, scope) => {
    const [name, whenTrue, whenFalse] = asList(argument, 'Fn::If');
    return evaluate(scope.condition(asText(name, 'Fn::If')) ? whenTrue : whenFalse, scope);
  },
  'Fn::Equals': (argument, scope) => {
    const [left, right] = asList(evaluate(argument, scope), 'Fn::Equals');
    // Parameters are text and literals may be numbers: CloudFormation compares them as text too.
    return typeof left === 'object'
      ? JSON.stringify(left) === JSON.stringify(right)
      : `${left}` === `${right}`;
  },
  'Fn::Not': (argument, scope) => !truth(asList(argument, 'Fn::Not')[0], scope),
  'Fn::And': (argument, scope) => asList(argument, 'Fn::And').every((item) => truth(item, scope)),
  'Fn::Or': (argument, scope) => asList(argument, 'Fn::Or').some((item) => truth(item, scope)),
};

/** Replaces every intrinsic function in `value` by what it yields. @throws TemplateError */
export function evaluate(value: unknown, scope: Scope): unknown {
  if (Array.isArray(value))
    return value.map((item) => evaluate(item, scope)).filter((item) => item !== NO_VALUE);
  if (typeof value === 'string') return value.replace(/\{\{resolve:ssm:[^}]+\}\}/g, 'ami-00000000000000000');
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only !== undefined) {
    const intrinsic = Object.hasOwn(INTRINSICS, only[0]) ? INTRINSICS[only[0]] : undefined;
    // An IAM policy has a property named Condition, whose value is an object and never a condition's name.
    const isIntrinsic = only[0] !== 'Condition' || typeof only[1] === 'string';
    if (intrinsic !== undefined && isIntrinsic) return intrinsic(only[1], scope);
    if (only[0].startsWith('Fn::')) throw new TemplateError(`the local cloud does not know ${only[0]}`);
  }
  const evaluated = entries.map(([key, item]) => [key, evaluate(item, scope)] as const);
  return Object.fromEntries(evaluated.filter(([, item]) => item !== NO_VALUE));
}
