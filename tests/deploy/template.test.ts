import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const PROJECT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** What packaging reads; the copy keeps this test from touching a package that somebody is running. */
const SOURCES = [
  'domain',
  'functions',
  'node',
  'plugins',
  'resources',
  'serverless.yml',
  'package.json',
  'tsconfig.json',
];

interface Resource {
  readonly Type: string;
  readonly DependsOn?: string | readonly string[];
  readonly DeletionPolicy?: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}
interface Statement {
  readonly Action: readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

let folder: string;
let resources: Readonly<Record<string, Resource>>;
let template: { readonly Conditions: object; readonly Outputs: object };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chordfs-package-'));
  for (const name of SOURCES) await cp(join(PROJECT, name), join(folder, name), { recursive: true });
  await symlink(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, 'home'));
  // No credentials, no home folder, no network names: packaging must not ask an account anything.
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: join(folder, 'home'),
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  await promisify(execFile)(
    process.execPath,
    [join(PROJECT, 'node_modules/serverless/bin/serverless.js'), 'package'],
    {
      cwd: folder,
      env: environment,
    },
  );
  const file = join(folder, '.serverless', 'cloudformation-template-update-stack.json');
  const compiled = JSON.parse(await readFile(file, 'utf8')) as typeof template & {
    Resources: Record<string, Resource>;
  };
  resources = compiled.Resources;
  template = compiled;
}, 180_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function only(type: string): Resource {
  const found = Object.values(resources).filter(({ Type }) => Type === type);
  expect(found).toHaveLength(1);
  return found[0] ?? { Type: type, Properties: {} };
}
const ofType = (type: string) => Object.entries(resources).filter(([, { Type }]) => Type === type);

/** Everything that must exist before this resource does, however many steps away. */
function dependenciesOf(logicalId: string, found = new Set<string>()): Set<string> {
  const { DependsOn = [], Properties } = resources[logicalId] ?? {};
  const references = [...JSON.stringify(Properties ?? {}).matchAll(REFERENCE)].map(
    (match) => match[1] ?? match[2],
  );
  for (const id of [...[DependsOn].flat(), ...references]) {
    if (id === undefined || found.has(id) || resources[id] === undefined) continue;
    found.add(id);
    dependenciesOf(id, found);
  }
  return found;
}
/** `Ref`, `Fn::GetAtt` and `Fn::Sub`, as they are written in JSON. */
const REFERENCE = /"(?:Ref|Fn::GetAtt)":\[?"(\w+)"|\$\{(\w+)/g;

describe('the group', () => {
  test('has a fixed name, inline hooks, and a numbered launch template version', () => {
    const { Properties: group } = only('AWS::AutoScaling::AutoScalingGroup');

    expect(group['AutoScalingGroupName']).toBe('chordfs-dev');
    expect(group['LifecycleHookSpecificationList']).toMatchObject([
      { LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING', DefaultResult: 'ABANDON' },
      {
        LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
        DefaultResult: { 'Fn::If': ['RetainsUndrained', 'ABANDON', 'CONTINUE'] },
      },
    ]);
    expect(JSON.stringify(group['LaunchTemplate'])).toContain('LatestVersionNumber');
    expect(group['DefaultInstanceWarmup']).toBe(0);
    expect(ofType('AWS::AutoScaling::LifecycleHook')).toEqual([]);
  });

  test('is given a size when it is made, and none by an update: it may have grown while that runs', () => {
    expect(only('AWS::AutoScaling::AutoScalingGroup').Properties['DesiredCapacity']).toEqual({
      'Fn::If': ['SetsCapacity', { Ref: 'DesiredCapacity' }, { Ref: 'AWS::NoValue' }],
    });
    expect(template.Conditions).toMatchObject({
      SetsCapacity: { 'Fn::Equals': [{ Ref: 'KeepsCapacity' }, 'false'] },
    });
  });

  test('launches what the stack says that nodes are to run', () => {
    const Value = { 'Fn::GetAtt': ['NodeLaunchTemplate', 'LatestVersionNumber'] };
    expect(template.Outputs).toMatchObject({ NodeLaunchTemplateVersion: { Value } });
    expect(only('AWS::AutoScaling::AutoScalingGroup').Properties['LaunchTemplate']).toMatchObject({
      Version: Value,
    });
  });

  test('waits for every rule, permission and function, and for table, alarm, log groups and network', () => {
    const needed = [
      ...ofType('AWS::Events::Rule'),
      ...ofType('AWS::Lambda::Permission'),
      ...ofType('AWS::Lambda::EventInvokeConfig'),
      ...ofType('AWS::DynamoDB::Table'),
      ...ofType('AWS::EC2::Route'),
      ...ofType('AWS::EC2::SubnetRouteTableAssociation'),
      ...ofType('AWS::EC2::VPCEndpoint'),
      ...ofType('AWS::Logs::LogGroup'),
    ].map(([id]) => id);

    const waitedFor = dependenciesOf('NodeGroup');
    expect([...needed, 'PeerIngress', 'DiskAlarm'].filter((id) => !waitedFor.has(id))).toEqual([]);
  });

  test('is named in the rules by a plain string, so that nothing but the group itself depends on it', () => {
    const others = Object.entries(resources).filter(([id]) => id !== 'NodeGroup');
    expect(others.filter(([, resource]) => JSON.stringify(resource).includes('"Ref":"NodeGroup"'))).toEqual(
      [],
    );
  });
});

describe('permissions', () => {
  /** Where AWS knows no resource-level permission; everything else names its resources. */
  const NEEDS_STAR = new Set([
    'autoscaling:DescribeAutoScalingGroups',
    'autoscaling:DescribeAutoScalingInstances',
    'ec2:DescribeInstances',
    'ec2:DescribeTags',
    'cloudwatch:PutMetricData',
    'ssm:UpdateInstanceInformation',
    'ssmmessages:CreateControlChannel',
    'ssmmessages:CreateDataChannel',
    'ssmmessages:OpenControlChannel',
    'ssmmessages:OpenDataChannel',
  ]);
  const statements = () =>
    ofType('AWS::IAM::Role').flatMap(([id, { Properties }]) => {
      const policies = Properties['Policies'] as { PolicyDocument: { Statement: Statement[] } }[];
      return policies.flatMap(({ PolicyDocument }) =>
        PolicyDocument.Statement.map((statement) => ({ id, statement })),
      );
    });

  test('every function has its own role', () => {
    const roles = ofType('AWS::Lambda::Function').map(([, { Properties }]) =>
      JSON.stringify(Properties['Role']),
    );

    expect(new Set(roles).size).toBe(5);
    expect(resources['IamRoleLambdaExecution']).toBeUndefined();
  });

  test('no action is a pattern, and * stands only where AWS knows nothing else', () => {
    for (const { id, statement } of statements()) {
      for (const action of statement.Action) {
        expect(`${id}: ${action}`).not.toContain('*');
        if (statement.Resource === '*') expect(NEEDS_STAR).toContain(action);
      }
    }
  });

  test('nobody may create a log group, and every function has one declared with a retention', () => {
    expect(statements().flatMap(({ statement }) => statement.Action)).not.toContain('logs:CreateLogGroup');
    const groups = ofType('AWS::Logs::LogGroup');
    expect(groups).toHaveLength(7);
    for (const [, { Properties }] of groups) expect(Properties['RetentionInDays']).toBe(7);
  });
});

describe('what removal needs', () => {
  test('nothing is retained', () => {
    const kept = Object.entries(resources).filter(
      ([, { DeletionPolicy }]) => (DeletionPolicy ?? 'Delete') !== 'Delete',
    );
    expect(kept).toEqual([]);
  });

  test('every volume goes with its instance, encrypted', () => {
    const data = only('AWS::EC2::LaunchTemplate').Properties['LaunchTemplateData'] as {
      BlockDeviceMappings: { Ebs: Record<string, unknown> }[];
    };
    for (const { Ebs } of data.BlockDeviceMappings) {
      expect(Ebs).toMatchObject({ DeleteOnTermination: true, Encrypted: true, VolumeType: 'gp3' });
    }
  });
});

describe('user data', () => {
  function userData(): string {
    const data = only('AWS::EC2::LaunchTemplate').Properties['LaunchTemplateData'] as {
      UserData: { 'Fn::Base64': { 'Fn::Sub': string } };
    };
    return data.UserData['Fn::Base64']['Fn::Sub'];
  }

  test('names the bundle that was built, and is small enough for EC2', async () => {
    const [bundle = ''] = (await readdir(join(folder, '.serverless', 'node'))).filter((name) =>
      name.endsWith('.tgz'),
    );

    expect(userData()).toContain(`serverless/chordfs/dev/node/${bundle}`);
    expect(Buffer.byteLength(userData())).toBeLessThan(16 * 1024);
  });

  test('refers to nothing but resources and parameters of the template', () => {
    const names = [...userData().matchAll(/\$\{([^!}]+)\}/g)].map(([, name = '']) => name);
    const parameters = ['VpcCidr', 'TimeScale', 'OnConflict', 'Theme'];
    const known = new Set([...Object.keys(resources), ...parameters, 'AWS::Region']);

    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });

  test('has the agent report the fullest volume of the group as one metric', () => {
    const { write_files: files } = parse(userData()) as { write_files: { path: string; content: string }[] };
    const agent = files.find(({ path }) => path.endsWith('amazon-cloudwatch-agent.json'));
    const { metrics } = JSON.parse(agent?.content ?? '{}') as { metrics: Record<string, unknown> };
    const alarm = resources['DiskAlarm']?.Properties ?? {};

    expect(metrics['aggregation_dimensions']).toEqual([['AutoScalingGroupName']]);
    expect(metrics['metrics_collected']).toMatchObject({
      disk: { measurement: ['used_percent'], resources: ['/var/lib/chordfs'], drop_device: true },
    });
    expect(alarm).toMatchObject({
      Statistic: 'Maximum',
      MetricName: 'disk_used_percent',
      Namespace: 'CWAgent',
    });
    expect(alarm['Dimensions']).toEqual([{ Name: 'AutoScalingGroupName', Value: 'chordfs-dev' }]);
  });
});

test('the ports are not open to the world', () => {
  const { Properties } = only('AWS::EC2::SecurityGroup');
  expect(JSON.stringify(Properties['SecurityGroupIngress'])).not.toContain('0.0.0.0/0');
});

test('the dead letter queue lets EventBridge in', () => {
  expect(JSON.stringify(only('AWS::SQS::QueuePolicy').Properties)).toContain('events.amazonaws.com');
});
