import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { memberKey } from '../../domain/member-record.ts';
import { metaKey } from '../../domain/ring-meta.ts';
import { upload } from '../end-to-end/node-client.ts';
import { contentOf } from '../end-to-end/sample-files.ts';
import { until } from '../end-to-end/until.ts';
import { CaseCloud, isLifecycleEvent, PATIENCE_MS } from './case-cloud.ts';
import { someFiles } from './rolling-update.ts';
import { USED_BY_AWS_ALONE } from './unused-grants.ts';

vi.setConfig({ testTimeout: 2 * PATIENCE_MS, hookTimeout: 2 * PATIENCE_MS });

/**
 * Case 70, the second half: one life of a group in which every role does everything it is allowed. Each test brings
 * about what needs some of the grants, and waits for their use; whoever else might do the work is held back meanwhile.
 * The last one compares what was granted with what was used.
 */
let given: CaseCloud;

const FUNCTIONS = ['onLaunch', 'onTerminate', 'onAlarm', 'onAsgResult', 'reconcile'] as const;
type FunctionName = (typeof FUNCTIONS)[number];
const nameOf = (name: FunctionName): string => `chordfs-dev-${name}`;

/**
 * AWS does not know the caller's next action yet, as it happens for some seconds after it shows the wait: the caller
 * looks at the instance's state and tries again.
 */
function completeTooEarly(session: string): void {
  const message = 'No active Lifecycle Action found with instance ID';
  given.faults.calls.add(
    (call) => call.session === session && call.operation === 'CompleteLifecycleAction',
    { kind: 'error', code: 'ValidationError', message, status: 400 },
    1,
  );
}

/** The function's events wait until `end`. */
const holdBack = (name: FunctionName) => given.faults.throttleFunction(nameOf(name));

/** Logical id in the template and what the role is granted, for every role. */
function roles(): { readonly logicalId: string; readonly roleName: string; readonly arn: string }[] {
  return given.cloud.services.iam.roles().map(({ roleName, arn }) => {
    const [, logicalId = roleName] = /^chordfs-dev-(\w+)-\w+$/.exec(roleName) ?? [];
    return { logicalId, roleName, arn };
  });
}

function usedBy(logicalId: string): readonly string[] {
  const { authorizer } = given.cloud.services;
  const role = roles().find((candidate) => candidate.logicalId === logicalId);
  if (role === undefined) throw new Error(`no role ${logicalId}`);
  return authorizer.uses().flatMap((use) => (use.roleName === role.roleName ? use.grantedAction : []));
}

async function untilUsed(logicalId: string, ...actions: readonly string[]): Promise<void> {
  await until(
    `${logicalId} has used ${actions.join(', ')}`,
    () => {
      const missing = actions.filter((action) => !usedBy(logicalId).includes(action));
      if (missing.length > 0) throw new Error(`not yet: ${missing.join(', ')}`);
      return true;
    },
    PATIENCE_MS,
  );
}

/** Of the right type and from the right sender, so that the rules let them pass, but without what the functions need. */
function sendUnfitEvents(): void {
  const { bridge } = given.cloud.services;
  const AutoScalingGroupName = given.cloud.autoScalingGroupName;
  const lifecycle = (kind: 'launch' | 'terminate') => ({
    'detail-type': `EC2 Instance-${kind} Lifecycle Action`,
    source: 'aws.autoscaling',
    resources: [],
    detail: {
      ...{ AutoScalingGroupName, LifecycleHookName: `chordfs-${kind}` },
      ...(kind === 'launch'
        ? { Origin: 'EC2', Destination: 'AutoScalingGroup' }
        : { Origin: 'AutoScalingGroup', Destination: 'EC2' }),
    },
  });
  bridge.emit(lifecycle('launch'));
  bridge.emit(lifecycle('terminate'));
  bridge.emit({
    ...{ 'detail-type': 'CloudWatch Alarm State Change', source: 'aws.cloudwatch', resources: [] },
    detail: { alarmName: 'chordfs-dev-disk', state: { value: 'ALARM' } },
  });
  bridge.emit({
    ...{ 'detail-type': 'EC2 Instance Launch Successful', source: 'aws.autoscaling', resources: [] },
    detail: { AutoScalingGroupName },
  });
  given.faults.crashFunction(nameOf('reconcile'), 1);
}

beforeAll(async () => {
  const parameters = { ScaleIn: 'true' };
  given = await CaseCloud.start({
    ...{ desired: 3, min: 2, max: 5, parameters },
    ...{ volumeSizeBytes: 64 * 2 ** 20, threshold: 30 },
  });
  // First, because Lambda tries them again for minutes before it gives them up.
  sendUnfitEvents();
});
afterAll(() => given?.stop());

test('nodes boot, claim, report and go into service; the reconciler looks at all of it and says how far it drifted', async () => {
  await untilUsed(
    'NodeRole',
    ...['s3:GetObject', 'ssm:GetParameters', 'ec2:DescribeTags', 'cloudwatch:PutMetricData'],
    ...['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:UpdateItem', 'events:PutEvents'],
    ...['autoscaling:RecordLifecycleActionHeartbeat', 'autoscaling:CompleteLifecycleAction'],
  );
  await untilUsed(
    'ReconcileRole',
    ...['dynamodb:GetItem', 'dynamodb:Query', 'ec2:DescribeInstances', 'cloudwatch:PutMetricData'],
    ...['autoscaling:DescribeAutoScalingGroups', 'cloudwatch:DescribeAlarms'],
  );
});

test('an empty ring shrinks: the reconciler takes one out, the Lambda tells it to leave, the node completes its leave', async () => {
  for (const id of given.ids()) {
    given.machines.silenceMetadata(id, true);
    completeTooEarly(id);
  }
  const requested = await until(
    'the group is told to shrink',
    async () => {
      // As if half an hour had gone by since the first look.
      await given.set(metaKey('dev'), 'lowWaterSinceMs', 1);
      return given.log('Scale In Requested')[0];
    },
    PATIENCE_MS,
  );
  const reconciler = holdBack('reconcile');
  await untilUsed('ReconcileRole', 'autoscaling:TerminateInstanceInAutoScalingGroup', 'events:PutEvents');
  await untilUsed('OnTerminateRole', 'dynamodb:GetItem', 'dynamodb:UpdateItem', 'ec2:DescribeInstances');
  await untilUsed('NodeRole', 'dynamodb:DeleteItem', 'autoscaling:DescribeAutoScalingInstances');
  reconciler.end();

  await given.test.untilSettled(2, PATIENCE_MS);
  expect(given.ids()).not.toContain(requested.detail['instanceId']);
  for (const id of given.ids()) given.machines.silenceMetadata(id, false);
});

test('volumes fill up: the alarm asks for more; those that do not start are closed by the Lambda when they are ended', async () => {
  given.machines.failBoots(9, 'hang');
  // Nobody else gives these a place: not their nodes, which never run, and not the reconciler.
  const reconciler = holdBack('reconcile');
  completeTooEarly(nameOf('onTerminate'));
  const known = given.ids();
  const ips = await given.test.publicIps();
  for (const [i, { name, ...file }] of someFiles(24, 2 ** 20, 70).entries()) {
    const content = contentOf({ name, ...file });
    // As a client does: a 503 says to come again.
    await until(
      `${name} is stored`,
      async () => (await upload(ips[i % 2] ?? '', name, content)) === 204,
      PATIENCE_MS,
    );
  }
  await untilUsed(
    'OnAlarmRole',
    ...['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:UpdateItem', 'events:PutEvents'],
    ...['autoscaling:DescribeAutoScalingGroups', 'autoscaling:SetDesiredCapacity'],
  );

  const dud = await given.newcomer(known);
  await given.untilState(dud, 'ASSIGNED');
  await untilUsed(
    'OnLaunchRole',
    ...['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:UpdateItem', 'events:PutEvents'],
    'ec2:DescribeInstances',
  );
  reconciler.end();
  given.machines.failBoots(0, 'hang');
  for (const id of given.ids().filter((id) => !known.includes(id))) await given.terminateInGroup(id);
  await untilUsed(
    'OnTerminateRole',
    ...['dynamodb:DeleteItem', 'events:PutEvents'],
    ...['autoscaling:CompleteLifecycleAction', 'autoscaling:DescribeAutoScalingInstances'],
  );
});

test('a decision that was written down before its Lambda died is carried out by the reconciler', async () => {
  await given.set(metaKey('dev'), 'scalePending', true);
  await untilUsed('ReconcileRole', 'autoscaling:SetDesiredCapacity', 'dynamodb:UpdateItem');
});

test('a frozen machine whose member is DEAD is replaced by the reconciler, its position freed and its action completed', async () => {
  await until('three in service', async () => (await given.cloud.nodes()).length >= 3, PATIENCE_MS);
  const lost = given.faults.dropEvents(isLifecycleEvent('terminate'));
  const [frozen = ''] = (await given.cloud.nodes()).map(({ instanceId }) => instanceId);
  completeTooEarly(nameOf('reconcile'));
  given.machines.freeze(frozen);
  await given.set(memberKey('dev', frozen), 'state', 'DEAD');

  await untilUsed('ReconcileRole', 'autoscaling:SetInstanceHealth', 'dynamodb:DeleteItem');
  await untilUsed(
    'ReconcileRole',
    ...['autoscaling:CompleteLifecycleAction', 'autoscaling:DescribeAutoScalingInstances'],
  );
  lost.end();
});

test('a machine that EC2 takes is closed by the Lambda that hears of it', async () => {
  await until('three in service', async () => (await given.cloud.nodes()).length >= 3, PATIENCE_MS);
  const others = [holdBack('reconcile'), holdBack('onTerminate')];
  const [taken = ''] = (await given.cloud.nodes()).map(({ instanceId }) => instanceId).slice(-1);
  await given.terminateByEc2(taken);

  await untilUsed(
    'OnAsgResultRole',
    ...['dynamodb:GetItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'events:PutEvents'],
  );
  for (const other of others) other.end();
});

test('events that a function cannot handle went to the dead letter queue, by the role of the function', async () => {
  for (const role of ['OnLaunchRole', 'OnTerminateRole', 'OnAlarmRole', 'OnAsgResultRole', 'ReconcileRole'])
    await untilUsed(role, 'sqs:SendMessage');
});

test('case 70: every action that a role is granted was used, or is known to be for programs of AWS', async () => {
  for (const name of FUNCTIONS)
    await untilUsed(
      `${name[0]?.toUpperCase()}${name.slice(1)}Role`,
      'logs:CreateLogStream',
      'logs:PutLogEvents',
    );
  const { authorizer } = given.cloud.services;
  const unused = roles().map(({ logicalId, arn }) => [
    logicalId,
    authorizer
      .granted(arn)
      .filter((action) => !usedBy(logicalId).includes(action))
      .sort(),
  ]);

  expect(Object.fromEntries(unused)).toEqual(
    Object.fromEntries(
      roles().map(({ logicalId }) => [logicalId, Object.keys(USED_BY_AWS_ALONE[logicalId] ?? {}).sort()]),
    ),
  );
  expect(roles().map(({ logicalId }) => logicalId)).toEqual(
    expect.arrayContaining(Object.keys(USED_BY_AWS_ALONE)),
  );
});

test('case 70: no call of a function or a node was refused', () => {
  expect(given.cloud.services.authorizer.refusals()).toEqual([]);
});
