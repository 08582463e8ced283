import type { CloudFormationTemplate, TemplateResource } from '../package-service.ts';

type Resources = Record<string, TemplateResource>;
interface Break {
  readonly rule: string;
  readonly name: string;
  apply(resources: Resources, template: CloudFormationTemplate): void;
}
type Bag = Record<string, unknown>;

function properties(resources: Resources, logicalId: string): Bag {
  const resource = resources[logicalId];
  if (resource === undefined) throw new Error(`the template has no ${logicalId}`);
  return resource.Properties;
}
/** A part of a resource, by the names on the way to it. */
function within(resources: Resources, logicalId: string, ...path: readonly (string | number)[]): Bag {
  return path.reduce<Bag>(
    (bag, key) => {
      const next = (bag as Record<string | number, unknown>)[key];
      if (typeof next !== 'object' || next === null) throw new Error(`${logicalId} has no ${path.join('.')}`);
      return next as Bag;
    },
    properties(resources, logicalId),
  );
}
const statement = (resources: Resources, role: string, index = 0): Bag =>
  within(resources, role, 'Policies', 0, 'PolicyDocument', 'Statement', index);
const statements = (resources: Resources, role: string): unknown[] =>
  within(resources, role, 'Policies', 0, 'PolicyDocument', 'Statement') as unknown as unknown[];

function stopWaitingFor(logicalId: string, rule: string): Break {
  return {
    rule,
    name: `the group does not wait for ${logicalId}`,
    apply(resources) {
      const group = resources['NodeGroup'];
      if (group !== undefined)
        group.DependsOn = [group.DependsOn ?? []].flat().filter((id) => id !== logicalId);
    },
  };
}
const CONTROL_PLANE = [
  'LaunchRule',
  'LaunchPermission',
  'TerminateRule',
  'TerminatePermission',
  'SpotRule',
].concat(
  [
    'SpotPermission',
    'AlarmRule',
    'AlarmPermission',
    'AsgResultRule',
    'AsgResultPermission',
    'InstanceStateRule',
  ],
  [
    'InstanceStatePermission',
    'ReconcileRule',
    'ReconcilePermission',
    'DeadLetterQueuePolicy',
    'ScalingLogRule',
  ],
  ['MemberTable', 'Bus', 'NodeRole', 'PeerIngress'],
);
const LOG_GROUPS = ['NodeLogGroup', 'OnLaunchLogGroup', 'OnTerminateLogGroup', 'OnAlarmLogGroup'].concat([
  'OnAsgResultLogGroup',
  'ReconcileLogGroup',
]);

/** Templates that look well and fail later: each one mistake away from ours, with the rule that must refuse it. */
export const BREAKS: readonly Break[] = [
  {
    rule: 'there_is_one_group',
    name: 'there is no group',
    apply(resources) {
      delete resources['NodeGroup'];
    },
  },
  {
    rule: 'group_name_is_fixed',
    name: 'the name of the group is made up',
    apply(resources) {
      properties(resources, 'NodeGroup')['AutoScalingGroupName'] = { Ref: 'AWS::StackName' };
    },
  },
  {
    rule: 'group_name_is_fixed',
    name: 'the group has no name',
    apply(resources) {
      delete properties(resources, 'NodeGroup')['AutoScalingGroupName'];
    },
  },
  {
    rule: 'hooks_are_inline',
    name: 'a hook is a resource of its own',
    apply(resources) {
      resources['Hook'] = { Type: 'AWS::AutoScaling::LifecycleHook', Properties: {} };
    },
  },
  {
    rule: 'hooks_are_inline',
    name: 'there is no hook for instances that go',
    apply(resources) {
      const group = properties(resources, 'NodeGroup');
      group['LifecycleHookSpecificationList'] = (group['LifecycleHookSpecificationList'] as unknown[]).slice(
        0,
        1,
      );
    },
  },
  {
    rule: 'launch_hook_abandons',
    name: 'an instance that never joined goes into service',
    apply(resources) {
      within(resources, 'NodeGroup', 'LifecycleHookSpecificationList', 0)['DefaultResult'] = 'CONTINUE';
    },
  },
  ...CONTROL_PLANE.map((id) => stopWaitingFor(id, 'group_waits_for_its_control_plane')),
  ...LOG_GROUPS.map((id) => stopWaitingFor(id, 'group_waits_for_its_log_groups')),
  {
    rule: 'group_waits_for_its_network',
    name: 'the group does not refer to the network',
    apply(resources) {
      properties(resources, 'NodeGroup')['Tags'] = [];
    },
  },
  {
    rule: 'group_waits_for_its_network',
    name: 'the endpoints do not wait for the route',
    apply(resources) {
      delete resources['S3Endpoint']?.DependsOn;
    },
  },
  {
    rule: 'group_says_its_warmup',
    name: 'the warm-up is left to AWS',
    apply(resources) {
      delete properties(resources, 'NodeGroup')['DefaultInstanceWarmup'];
    },
  },
  {
    rule: 'own_network_has_one_subnet',
    name: 'there are two subnets',
    apply(resources) {
      const choice = within(resources, 'NodeGroup', 'VPCZoneIdentifier')['Fn::If'] as unknown[];
      choice[1] = [{ Ref: 'Subnet' }, { Ref: 'OtherSubnet' }];
    },
  },
  {
    rule: 'no_scale_in_protection',
    name: 'instances are protected from scale-in',
    apply(resources) {
      properties(resources, 'NodeGroup')['NewInstancesProtectedFromScaleIn'] = true;
    },
  },
  {
    rule: 'launch_template_version_is_a_number',
    name: 'the group follows the latest version',
    apply(resources) {
      within(resources, 'NodeGroup', 'LaunchTemplate')['Version'] = '$Latest';
    },
  },
  {
    rule: 'rules_name_the_group_literally',
    name: 'a rule refers to the group',
    apply(resources) {
      within(resources, 'LaunchRule', 'EventPattern', 'detail')['AutoScalingGroupName'] = [
        { Ref: 'NodeGroup' },
      ];
    },
  },
  {
    rule: 'rule_targets_have_a_dead_letter_queue',
    name: 'a rule drops what it cannot deliver',
    apply(resources) {
      delete within(resources, 'TerminateRule', 'Targets', 0)['DeadLetterConfig'];
    },
  },
  {
    rule: 'dead_letter_queue_lets_eventbridge_in',
    name: 'the queue has no policy',
    apply(resources) {
      delete resources['DeadLetterQueuePolicy'];
    },
  },
  {
    rule: 'functions_keep_what_they_fail_on',
    name: 'a function has no destination for failures',
    apply(resources) {
      delete properties(resources, 'OnTerminateRetries')['DestinationConfig'];
    },
  },
  {
    rule: 'nothing_outlives_the_stack',
    name: 'the table is retained',
    apply(resources) {
      const table = resources['MemberTable'];
      if (table !== undefined) table.DeletionPolicy = 'Retain';
    },
  },
  {
    rule: 'log_groups_forget',
    name: 'a log group keeps everything for ever',
    apply(resources) {
      delete properties(resources, 'NodeLogGroup')['RetentionInDays'];
    },
  },
  {
    rule: 'functions_have_their_own_roles',
    name: "the framework's shared role is there",
    apply(resources) {
      resources['IamRoleLambdaExecution'] = { Type: 'AWS::IAM::Role', Properties: {} };
    },
  },
  {
    rule: 'functions_have_their_own_roles',
    name: "a function has the nodes' role",
    apply(resources) {
      properties(resources, 'OnAlarmLambdaFunction')['Role'] = { 'Fn::GetAtt': ['NodeRole', 'Arn'] };
    },
  },
  {
    rule: 'nobody_creates_log_groups',
    name: 'a function may create log groups',
    apply(resources) {
      statement(resources, 'OnAlarmRole')['Action'] = ['logs:CreateLogGroup', 'logs:PutLogEvents'];
    },
  },
  {
    rule: 'actions_are_named_one_by_one',
    name: 'an action is a pattern',
    apply(resources) {
      statement(resources, 'NodeRole')['Action'] = ['dynamodb:*'];
    },
  },
  {
    rule: 'actions_are_named_one_by_one',
    name: 'a role takes a policy of AWS as it is',
    apply(resources) {
      properties(resources, 'NodeRole')['ManagedPolicyArns'] = [
        'arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore',
      ];
    },
  },
  {
    rule: 'star_resources_are_on_the_list',
    name: 'a function may resize every group',
    apply(resources) {
      statements(resources, 'OnAlarmRole').push({
        Effect: 'Allow',
        Action: ['autoscaling:SetDesiredCapacity'],
        Resource: '*',
      });
    },
  },
  {
    rule: 'metrics_are_bound_to_a_namespace',
    name: 'a node may write any metric',
    apply(resources) {
      const writer = statements(resources, 'NodeRole').find((item) =>
        JSON.stringify(item).includes('cloudwatch:PutMetricData'),
      );
      delete (writer as Bag)['Condition'];
    },
  },
  {
    rule: 'ports_are_not_open_to_the_world',
    name: 'the clients are everybody by default',
    apply(_, template) {
      const parameter = template.Parameters['ClientCidr'];
      if (parameter !== undefined) parameter.Default = '0.0.0.0/0';
    },
  },
  {
    rule: 'ports_are_not_open_to_the_world',
    name: 'a port is open to everybody',
    apply(resources) {
      within(resources, 'NodeSecurityGroup', 'SecurityGroupIngress', 0)['CidrIp'] = '0.0.0.0/0';
    },
  },
  {
    rule: 'ports_are_not_open_to_the_world',
    name: 'SSH is open to everybody',
    apply(resources) {
      properties(resources, 'SshIngress')['CidrIp'] = '0.0.0.0/0';
    },
  },
  {
    rule: 'peers_reach_each_other',
    name: 'the peers are a range of addresses',
    apply(resources) {
      const ingress = properties(resources, 'PeerIngress');
      delete ingress['SourceSecurityGroupId'];
      ingress['CidrIp'] = { Ref: 'VpcCidr' };
    },
  },
  {
    rule: 'metadata_needs_a_token',
    name: 'credentials can be had without a token',
    apply(resources) {
      within(resources, 'NodeLaunchTemplate', 'LaunchTemplateData', 'MetadataOptions')['HttpTokens'] =
        'optional';
    },
  },
  {
    rule: 'volumes_are_encrypted_and_go_with_their_instance',
    name: 'a volume stays behind',
    apply(resources) {
      const ebs = within(
        resources,
        'NodeLaunchTemplate',
        'LaunchTemplateData',
        'BlockDeviceMappings',
        1,
        'Ebs',
      );
      delete ebs['DeleteOnTermination'];
    },
  },
  {
    rule: 'disk_alarm_sees_the_fullest',
    name: 'the alarm looks at the average',
    apply(resources) {
      properties(resources, 'DiskAlarm')['Statistic'] = 'Average';
    },
  },
];
