import { join } from 'node:path';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { beforeAll, describe, expect, test } from 'vitest';
import { ensurePackaged } from '../../clients/up/packaging.ts';
import { eventBus } from '../../functions/adapters/event-bus.ts';
import { launchEvent, terminateEvent } from '../../functions/events.ts';
import { lifecycleEvent, refreshEvent, resultEvent } from '../../local/auto-scaling/activities.ts';
import type { Activity, GroupState } from '../../local/auto-scaling/group-state.ts';
import { compilePattern } from '../../local/event-bridge/pattern.ts';
import { accessOf } from '../../local/iam/access.ts';
import { evaluateAccess } from '../../local/iam/evaluate.ts';
import { parsePolicy } from '../../local/iam/policy.ts';
import { loadTemplate, type Template } from '../../local/template/template.ts';
import { EventBridgeBus } from '../../node/membership/event-bus.ts';
import { alarm, lifecycle } from '../control-plane/aws-events.ts';
import { PROJECT } from '../end-to-end/test-cloud.ts';
import { EventSchemas, NOT_IN_THE_SCHEMAS } from './event-schemas.ts';

let template: Template;
const schemas = new EventSchemas();

beforeAll(async () => {
  await ensurePackaged({
    projectDirectory: PROJECT,
    signal: AbortSignal.timeout(110_000),
    onStart: () => undefined,
  });
  template = await loadTemplate(join(PROJECT, '.serverless/cloudformation-template-update-stack.json'));
});

type Fields = Readonly<Record<string, unknown>>;

function patterns(): [string, Fields][] {
  return Object.entries(template.Resources).flatMap(([logicalId, { Type, Properties }]) =>
    Type === 'AWS::Events::Rule' && Properties['EventPattern'] !== undefined
      ? [[logicalId, Properties['EventPattern'] as Fields] as [string, Fields]]
      : [],
  );
}

/** Of the rules on AWS's own bus: the stage's bus carries our own events. */
function awsPatterns(): [string, Fields][] {
  return patterns().filter(
    ([logicalId]) => template.Resources[logicalId]?.Properties['EventBusName'] === undefined,
  );
}

describe('case 71: event patterns', () => {
  test('look only at fields that the events have', () => {
    const checked = awsPatterns().map(([logicalId, pattern]) => [
      logicalId,
      schemas.complaintsAboutPattern(pattern),
    ]);
    expect(checked.length).toBeGreaterThanOrEqual(5);
    expect(checked.filter(([, complaints]) => complaints === undefined)).toEqual([]);
    expect(checked.flatMap(([, complaints]) => complaints)).toEqual([]);
  });

  test('name only event types that exist', () => {
    const unknown = awsPatterns().flatMap(([, pattern]) => {
      const [source = ''] = pattern['source'] as string[];
      return (pattern['detail-type'] as unknown[]).filter(
        (type) =>
          typeof type === 'string' &&
          schemas.complaintsAbout({ source, 'detail-type': type, detail: {} }) === undefined &&
          !Object.hasOwn(NOT_IN_THE_SCHEMAS, type),
      );
    });
    expect(unknown).toEqual([]);
  });

  test.each([
    ['LaunchRule', 'launch', { Origin: 'EC2', Destination: 'WarmPool' }],
    ['LaunchRule', 'launch', { Origin: 'WarmPool', Destination: 'AutoScalingGroup' }],
    ['TerminateRule', 'terminate', { Origin: 'AutoScalingGroup', Destination: 'WarmPool' }],
    ['TerminateRule', 'terminate', { Origin: 'WarmPool', Destination: 'EC2' }],
  ] as const)(
    'of %s let no %s of a warm pool pass, nor does its function take one: %j',
    (rule, kind, route) => {
      const [, pattern = {}] = patterns().find(([logicalId]) => logicalId === rule) ?? [];
      const matches = compilePattern(pattern);
      const names = { AutoScalingGroupName: 'chordfs-dev', LifecycleHookName: `chordfs-${kind}` };
      const usual = lifecycle(kind, 'i-1', names);
      const pooled = lifecycle(kind, 'i-1', { ...names, ...route });

      expect([matches(usual), matches(pooled)]).toEqual([true, false]);
      const schema = kind === 'launch' ? launchEvent : terminateEvent;
      expect([schema.safeParse(usual).success, schema.safeParse(pooled).success]).toEqual([true, false]);
    },
  );
});

describe('case 71: events', () => {
  test.each([
    ['a launch', lifecycle('launch', 'i-1')],
    ['a termination', lifecycle('terminate', 'i-1')],
    ['an alarm', alarm('ALARM')],
  ])('of the fixtures are as AWS has them: %s', (_, event) => {
    expect(schemas.complaintsAbout(event)).toEqual([]);
  });

  test('that the local cloud makes are as AWS has them', () => {
    const group = { name: 'g', arn: 'arn:aws:autoscaling:r:1:x' } as GroupState;
    const hook = { LifecycleHookName: 'h', HeartbeatTimeout: 30, DefaultResult: 'ABANDON' } as const;
    const action = { hookName: 'h', token: 't', capMs: 0, completableFromMs: 0, deadlineMs: 0 };
    const instance = { instanceId: 'i-1' } as Parameters<typeof lifecycleEvent>[1];
    const activity: Omit<Activity, 'transition'> = {
      ...{
        activityId: 'a',
        startMs: 0,
        cause: 'c',
        description: 'd',
        status: 'Successful',
        statusMessage: '',
      },
      ...{ progress: 100, endMs: 1, details: { 'Availability Zone': 'z', 'Subnet ID': 's' } },
    };
    const events = (
      ['autoscaling:EC2_INSTANCE_LAUNCHING', 'autoscaling:EC2_INSTANCE_TERMINATING'] as const
    ).flatMap((transition) => [
      lifecycleEvent(group, instance, { ...hook, LifecycleTransition: transition }, action),
      resultEvent(group, { ...activity, transition }, 'i-1', true),
      resultEvent(group, { ...activity, transition }, 'i-1', false),
    ]);
    expect(events.map((event) => schemas.complaintsAbout(event))).toEqual(events.map(() => []));
    expect(schemas.complaintsAbout(refreshEvent(group, 'r', 'Started'))).toBeUndefined();
  });

  test('that differ from the schema are found out', () => {
    const event = lifecycle('launch', 'i-1', { Origin: 7, Extra: 'x' });
    const { EC2InstanceId: _, ...detail } = event.detail;
    expect(schemas.complaintsAbout({ ...event, detail })?.sort()).toEqual([
      'EC2 Instance-launch Lifecycle Action: detail.EC2InstanceId is missing',
      'EC2 Instance-launch Lifecycle Action: detail.Extra is not in the schema',
      'EC2 Instance-launch Lifecycle Action: detail.Origin is a number, not a string',
    ]);
  });
});

/** Every policy document of every role, functions in it left as they are. */
function rolePolicies(): [string, unknown][] {
  return Object.entries(template.Resources).flatMap(([logicalId, { Type, Properties }]) => {
    if (Type !== 'AWS::IAM::Role') return [];
    const policies = (Properties['Policies'] ?? []) as readonly { PolicyDocument: unknown }[];
    return policies.map(({ PolicyDocument }) => [logicalId, PolicyDocument] as [string, unknown]);
  });
}

/** Resources as text that matches nothing real, so that only literal `*` is a wildcard. */
const literal = (document: unknown): unknown =>
  JSON.parse(JSON.stringify(document), (key, value) => {
    const isFunction =
      typeof value === 'object' &&
      value !== null &&
      Object.keys(value).some((name) => /^(Ref$|Fn::)/.test(name));
    return isFunction || (key === 'Condition' && typeof value === 'object')
      ? isFunction
        ? 'arn:of:the:stack'
        : value
      : value;
  });

test('case 68: no role may create a log group', () => {
  const names = {
    region: 'r',
    groupArn: () => undefined,
    groupOf: () => undefined,
    partitionKey: () => 'pk',
  };
  const call = { service: 'logs', operation: 'CreateLogGroup', input: { logGroupName: '/aws/lambda/x' } };
  const [request] = accessOf(call, names);
  if (request === undefined) throw new Error('nothing to ask');
  const allowed = rolePolicies().filter(([, document]) => {
    const statements = parsePolicy(literal(document));
    return evaluateAccess(statements, { ...request, resource: 'arn:of:the:stack' }).kind === 'allowed';
  });
  expect(rolePolicies().length).toBeGreaterThanOrEqual(6);
  expect(allowed).toEqual([]);
});

test('case 70: each role may speak on the bus in the names that its sender speaks in, and in no other', () => {
  const roles = rolePolicies().flatMap(([logicalId, document]) =>
    parsePolicy(literal(document)).flatMap(({ Action = [], Condition }) =>
      Action.includes('events:PutEvents') ? [[logicalId, Condition['StringEquals']?.['events:source']]] : [],
    ),
  );
  const client = new EventBridgeClient({ region: 'r' });
  const nodes = [...new EventBridgeBus(client, 'b').sources];
  const functions = [...eventBus(client, 'b').sources];

  expect(roles).toContainEqual(['NodeRole', nodes]);
  expect(roles.filter(([logicalId]) => logicalId !== 'NodeRole').map(([, sources]) => sources)).toEqual(
    Array.from({ length: 5 }, () => functions),
  );
});

/** Why an action stands with `Resource: "*"`. */
const KNOWS_NO_RESOURCES: Readonly<Record<string, string>> = {
  'autoscaling:DescribeAutoScalingGroups':
    'describe actions of Auto Scaling have no resource-level permissions',
  'autoscaling:DescribeAutoScalingInstances': 'the same',
  'cloudwatch:PutMetricData': 'has none either; limited to a namespace by a condition',
  'ec2:DescribeInstances': 'describe actions of EC2 have no resource-level permissions',
  'ec2:DescribeTags': 'the same; the CloudWatch agent reads the group of its instance with it',
  'ssm:UpdateInstanceInformation': 'Session Manager',
  'ssmmessages:CreateControlChannel': 'Session Manager; knows no resources',
  'ssmmessages:CreateDataChannel': 'Session Manager; knows no resources',
  'ssmmessages:OpenControlChannel': 'Session Manager; knows no resources',
  'ssmmessages:OpenDataChannel': 'Session Manager; knows no resources',
};

test('case 70: every Resource "*" is there because its action knows no resources', () => {
  const open = rolePolicies().flatMap(([, document]) =>
    parsePolicy(literal(document))
      .filter(({ Resource }) => Resource?.includes('*'))
      .flatMap(({ Action = [] }) => Action),
  );
  expect(open.filter((action) => !Object.hasOwn(KNOWS_NO_RESOURCES, action))).toEqual([]);
  expect(Object.keys(KNOWS_NO_RESOURCES).filter((action) => !open.includes(action))).toEqual([]);
});
