import { afterEach, expect, test } from 'vitest';
import type { StackDefinition } from '../../local/cloud-formation/stack-record.ts';
import { Stacks } from '../../local/cloud-formation/stacks.ts';
import { computeResources } from '../../local/template/resources/compute.ts';
import { parseTemplate } from '../../local/template/template.ts';
import { computeFixture, type Fixture, GROUP, LAUNCH_TEMPLATE } from './compute-fixture.ts';

/** A group as CloudFormation treats it. EC2 has no capacity, so nothing is started. */
let fixture: Fixture;
afterEach(() => fixture.stop());

/** Names a desired capacity or not, and asks for as many as it has at least. */
function definition({ desired, min }: { desired?: number; min: number }): StackDefinition {
  const body = {
    Resources: {
      Template: { Type: 'AWS::EC2::LaunchTemplate', Properties: { LaunchTemplateData: LAUNCH_TEMPLATE } },
      Group: {
        Type: 'AWS::AutoScaling::AutoScalingGroup',
        Properties: {
          AutoScalingGroupName: GROUP,
          MinSize: min,
          MaxSize: 4,
          ...(desired === undefined ? {} : { DesiredCapacity: desired }),
          LaunchTemplate: {
            LaunchTemplateId: { Ref: 'Template' },
            Version: { 'Fn::GetAtt': ['Template', 'LatestVersionNumber'] },
          },
        },
      },
    },
  };
  return { templateBody: JSON.stringify(body), template: parseTemplate(body), parameters: {}, tags: {} };
}

test.each([
  ['names a size gives it to the group, though it is the same as last time', { desired: 1, min: 1 }, 1],
  ['names none keeps the size that scaling has made', { min: 1 }, 3],
  ['names none asks for what its limits allow', { min: 4 }, 4],
])('an update of the group that %s', async (_, second, size) => {
  fixture = await computeFixture();
  const { compute } = fixture;
  compute.faults.failLaunches(Number.POSITIVE_INFINITY, 'no capacity');
  const call = async (operation: string, input: object) => {
    const service = compute.services.find(({ signingName }) => signingName === 'autoscaling');
    return await service?.operations[operation]?.(input as never, { accessKeyId: '', roleArn: undefined });
  };
  const stacks = new Stacks({
    region: 'us-east-1',
    handlers: computeResources(compute, () => false),
    ownParameters: {},
    now: Date.now,
    log: () => undefined,
    changed: () => undefined,
  });
  await stacks.settled(stacks.create('one', definition({ desired: 1, min: 0 })));
  await call('SetDesiredCapacity', { AutoScalingGroupName: GROUP, DesiredCapacity: 3 });

  await stacks.settled(stacks.update('one', definition(second)));

  expect(await call('DescribeAutoScalingGroups', {})).toMatchObject({
    AutoScalingGroups: [{ DesiredCapacity: size }],
  });
});
