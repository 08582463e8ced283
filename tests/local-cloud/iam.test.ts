import { describe, expect, test } from 'vitest';
import { accessOf, type ResourceNames } from '../../local/iam/access.ts';
import { Authorizer } from '../../local/iam/authorizer.ts';
import { evaluateAccess } from '../../local/iam/evaluate.ts';
import { parsePolicy } from '../../local/iam/policy.ts';

const TABLE = 'arn:aws:dynamodb:us-east-1:000000000000:table/members';
const GROUP = 'arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:1-2-3:autoScalingGroupName/ring';
const NAMES: ResourceNames = {
  region: 'us-east-1',
  groupArn: (name) => (name === 'ring' ? GROUP : undefined),
  groupOf: (instanceId) => (instanceId === 'i-1' ? 'ring' : undefined),
  partitionKey: () => 'pk',
};

/** How a policy element would stand in a template, without a linter taking it for a template string. */
const variable = (name: string): string => `$\{${name}}`;

type Fields = Readonly<Record<string, unknown>>;

/** Whether one statement allows `dynamodb:GetItem` on the table, in a context. */
function isAllowed(statement: Fields, context: Readonly<Record<string, readonly string[]>> = {}): boolean {
  const whole = { Effect: 'Allow', Action: 'dynamodb:GetItem', Resource: TABLE, ...statement };
  const statements = parsePolicy({ Version: '2012-10-17', Statement: whole });
  const entries = Object.entries(context).map(([key, values]) => [key.toLowerCase(), values] as const);
  const request = { action: 'dynamodb:GetItem', resource: TABLE, context: new Map(entries) };
  return evaluateAccess(statements, request).kind === 'allowed';
}

describe('a statement', () => {
  test.each<[string, Fields, boolean]>([
    ['names the action and the resource', {}, true],
    ['writes the action in other case', { Action: 'DYNAMODB:getitem' }, true],
    ['has wildcards', { Action: 'dynamodb:Get*', Resource: `${TABLE.slice(0, -1)}?` }, true],
    ['names another action', { Action: 'dynamodb:PutItem' }, false],
    ['names another table', { Resource: `${TABLE}2` }, false],
    ['names an index of the table', { Resource: `${TABLE}/index/*` }, false],
    ['denies', { Effect: 'Deny' }, false],
    ['excludes another action', { Action: undefined, NotAction: 'dynamodb:PutItem' }, true],
    ['excludes the action', { Action: undefined, NotAction: 'dynamodb:*' }, false],
    ['excludes the resource', { Resource: undefined, NotResource: TABLE }, false],
    ['has a variable without a value', { Resource: `${TABLE}${variable('aws:username')}` }, false],
    ['has a variable with a default', { Resource: `${TABLE}${variable("aws:username, ''")}` }, true],
    ['has an operator nobody knows', { Condition: { StringSounds: { a: 'b' } } }, false],
    [
      'denies by an operator nobody knows',
      { Effect: 'Deny', Condition: { StringSounds: { a: 'b' } } },
      false,
    ],
  ])('that %s: %#', (_, statement, allowed) => {
    const defined = Object.fromEntries(Object.entries(statement).filter(([, value]) => value !== undefined));
    const whole: Fields = {
      Effect: 'Allow',
      ...('NotAction' in defined ? {} : { Action: 'dynamodb:GetItem' }),
      ...('NotResource' in defined ? {} : { Resource: TABLE }),
      ...defined,
    };
    const statements = parsePolicy({ Version: '2012-10-17', Statement: [whole] });
    const request = { action: 'dynamodb:GetItem', resource: TABLE, context: new Map() };
    expect(evaluateAccess(statements, request).kind === 'allowed').toBe(allowed);
  });

  test('that denies wins over one that allows, also when its operator is not known', () => {
    const allow = { Effect: 'Allow', Action: '*', Resource: '*' };
    const deny = { Effect: 'Deny', Action: '*', Resource: '*', Condition: { Odd: { a: 'b' } } };
    const statements = parsePolicy({ Version: '2012-10-17', Statement: [allow, deny] });
    const request = { action: 'sqs:SendMessage', resource: '*', context: new Map() };
    expect(evaluateAccess(statements, request).kind).toBe('explicitly denied');
  });

  test.each([
    [
      'an element that is not evaluated here',
      { Effect: 'Allow', Action: '*', Resource: '*', Principal: '*' },
    ],
    ['no resource', { Effect: 'Allow', Action: '*' }],
    ['both Action and NotAction', { Effect: 'Allow', Action: '*', NotAction: '*', Resource: '*' }],
  ])('with %s is no policy', (_, statement) => {
    expect(() => parsePolicy({ Version: '2012-10-17', Statement: statement })).toThrow('a policy');
  });
});

describe('a condition', () => {
  const key = 'dynamodb:LeadingKeys';
  test.each<[string, string, string | string[], readonly string[] | undefined, boolean]>([
    ['StringEquals', key, 'a', ['a'], true],
    ['StringEquals', key, 'a', ['A'], false],
    ['StringEquals', key, ['a', 'b'], ['b'], true],
    ['StringEquals', key, 'a', undefined, false],
    ['StringEquals of several values', key, 'a', ['a', 'a2'], false],
    ['StringEqualsIfExists', key, 'a', undefined, true],
    ['StringNotEquals', key, ['a', 'b'], ['c'], true],
    ['StringNotEquals', key, ['a', 'b'], ['b'], false],
    ['StringNotEquals', key, 'a', undefined, true],
    ['StringEqualsIgnoreCase', key, 'a', ['A'], true],
    ['StringLike', key, 'RING#*', ['RING#dev'], true],
    ['StringNotLike', key, 'RING#*', ['RING#dev'], false],
    ['ForAllValues:StringEquals', key, ['a', 'b'], ['a', 'b'], true],
    ['ForAllValues:StringEquals', key, ['a'], ['a', 'b'], false],
    ['ForAllValues:StringEquals', key, ['a'], undefined, true],
    ['ForAnyValue:StringLike', key, ['b*'], ['a', 'b1'], true],
    ['ForAnyValue:StringLike', key, ['b*'], undefined, false],
    ['ArnEquals', 'aws:SourceArn', 'arn:aws:events:*:1:rule/*', ['arn:aws:events:r:1:rule/x'], true],
    ['ArnLike', 'aws:SourceArn', 'arn:aws:*:rule/x', ['arn:aws:events:r:1:rule/x'], false],
    ['Null', key, 'true', undefined, true],
    ['Null', key, 'false', undefined, false],
    ['Bool', 'aws:SecureTransport', 'true', ['true'], true],
    ['NumericLessThan', 's3:max-keys', '10', ['9'], true],
    ['NumericLessThan', 's3:max-keys', '10', ['ten'], false],
    ['DateGreaterThan', 'aws:CurrentTime', '2020-01-01T00:00:00Z', ['2026-01-01T00:00:00Z'], true],
    ['IpAddress', 'aws:SourceIp', '10.0.0.0/8', ['10.1.2.3'], true],
    ['NotIpAddress', 'aws:SourceIp', ['10.0.0.0/8', '11.0.0.0/8'], ['11.1.2.3'], false],
  ])('%s %s %j holds for %j: %s', (operator, name, wanted, actual, holds) => {
    const Condition = { [operator.split(' ')[0] ?? '']: { [name]: wanted } };
    expect(isAllowed({ Condition }, actual === undefined ? {} : { [name]: actual })).toBe(holds);
  });
});

describe('what a call must be allowed to do', () => {
  const access = (service: string, operation: string, input: Fields) =>
    accessOf({ service, operation, input }, NAMES).map(({ action, resource, context }) => [
      action,
      resource,
      Object.fromEntries(context),
    ]);
  test.each<[string, string, Fields, unknown[][]]>([
    [
      'dynamodb',
      'Query',
      {
        TableName: 'members',
        KeyConditionExpression: 'begins_with(sk, :s) AND #pk = :p',
        ExpressionAttributeNames: { '#pk': 'pk' },
        ExpressionAttributeValues: { ':p': { S: 'RING#dev' }, ':s': { S: 'NODE' } },
      },
      [['dynamodb:Query', TABLE, { 'dynamodb:leadingkeys': ['RING#dev'] }]],
    ],
    ['dynamodb', 'Scan', { TableName: 'members' }, [['dynamodb:Scan', TABLE, {}]]],
    [
      'dynamodb',
      'TransactWriteItems',
      { TransactItems: [{ Put: { TableName: 'members', Item: { pk: { S: 'a' } } } }] },
      [['dynamodb:PutItem', TABLE, { 'dynamodb:leadingkeys': ['a'] }]],
    ],
    [
      'dynamodb',
      'BatchWriteItem',
      { RequestItems: { members: [{ DeleteRequest: { Key: { pk: { S: 'a' } } } }] } },
      [['dynamodb:BatchWriteItem', TABLE, { 'dynamodb:leadingkeys': ['a'] }]],
    ],
    [
      'autoscaling',
      'CompleteLifecycleAction',
      { AutoScalingGroupName: 'ring' },
      [['autoscaling:CompleteLifecycleAction', GROUP, {}]],
    ],
    [
      'autoscaling',
      'SetInstanceHealth',
      { InstanceId: 'i-1' },
      [['autoscaling:SetInstanceHealth', GROUP, {}]],
    ],
    [
      'monitoring',
      'PutMetricData',
      { Namespace: 'chordfs' },
      [['cloudwatch:PutMetricData', '*', { 'cloudwatch:namespace': ['chordfs'] }]],
    ],
    [
      'events',
      'PutEvents',
      { Entries: [{ EventBusName: 'ring', Source: 's', DetailType: 'd' }, { Source: 't' }] },
      [
        [
          'events:PutEvents',
          'arn:aws:events:us-east-1:000000000000:event-bus/ring',
          { 'events:source': ['s'], 'events:detail-type': ['d'] },
        ],
        [
          'events:PutEvents',
          'arn:aws:events:us-east-1:000000000000:event-bus/default',
          { 'events:source': ['t'], 'events:detail-type': [''] },
        ],
      ],
    ],
    ['sts', 'GetCallerIdentity', {}, []],
    ['ssm', 'GetParameter', { Name: 'x' }, [['ssm:GetParameter', '*', {}]]],
  ])('%s %s', (service, operation, input, expected) => {
    expect(access(service, operation, input)).toEqual(expected);
  });
});

describe('a refusal', () => {
  const authorizer = new Authorizer(() => [], NAMES);
  const principal = { roleArn: 'arn:aws:iam::000000000000:role/node', session: 'i-1' };
  test.each([
    ['ec2', 'DescribeInstances', 'UnauthorizedOperation', 403],
    ['autoscaling', 'DescribeAutoScalingGroups', 'AccessDenied', 403],
    ['dynamodb', 'GetItem', 'AccessDeniedException', 400],
    ['events', 'ListRules', 'AccessDeniedException', 400],
    ['lambda', 'InvokeFunction', 'AccessDeniedException', 403],
    ['s3', 'GetObject', 'AccessDenied', 403],
  ])('of %s:%s is %s', (service, operation, code, status) => {
    const call = { service, operation, input: {} };
    expect(() => authorizer.check(principal, call)).toThrow(expect.objectContaining({ code, status }));
  });

  test('says who, what and why, and is remembered', () => {
    const call = { service: 'dynamodb', operation: 'GetItem', input: { TableName: 'members' } };
    expect(() => authorizer.check(principal, call)).toThrow(
      `User: arn:aws:sts::000000000000:assumed-role/node/i-1 is not authorized to perform: dynamodb:GetItem on resource: ${TABLE} because no identity-based policy allows the dynamodb:GetItem action`,
    );
    expect(authorizer.refusals().at(-1)).toMatchObject({ roleName: 'node', action: 'dynamodb:GetItem' });
  });

  test('never meets the operator', () => {
    const call = { service: 'dynamodb', operation: 'DeleteTable', input: { TableName: 'members' } };
    expect(() => authorizer.check({ roleArn: undefined }, call)).not.toThrow();
  });
});
