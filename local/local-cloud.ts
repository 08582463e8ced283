import type { Account } from './account.ts';
import type { Cloud, CloudNode } from './cloud.ts';
import type { StackRecord } from './cloud-formation/stack-record.ts';
import type { Compute, InstanceView } from './compute.ts';
import { refOf } from './deployment.ts';
import type { Faults } from './faults.ts';
import { untilReady } from './readiness.ts';
import type { Services } from './services.ts';
import type { Stack } from './template/stack.ts';

/** The local cloud as tests see it: also what can be broken, and what is inside. */
export interface LocalCloud extends Cloud {
  readonly faults: Faults;
  readonly compute: Compute;
  readonly services: Services;
  readonly stack: Stack;
  readonly account: Account;
  readonly directory: string;
}

/** Ring identifiers by instance, as the control plane's member rows have them. */
async function positions(services: Services, tableName: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const { sk, position } of await services.dynamoDb.items(tableName)) {
    const [, instanceId] = /^NODE#(.+)$/.exec(String(sk)) ?? [];
    if (instanceId !== undefined && typeof position === 'string') found.set(instanceId, position);
  }
  return found;
}

async function desiredCapacity(compute: Compute, groupName: string): Promise<number> {
  const describe = compute.services.find(({ signingName }) => signingName === 'autoscaling')?.operations[
    'DescribeAutoScalingGroups'
  ];
  const input = { AutoScalingGroupNames: [groupName] };
  const answer = await describe?.(input as never, { accessKeyId: '', roleArn: undefined });
  const { AutoScalingGroups } = answer as { AutoScalingGroups?: { DesiredCapacity?: number }[] };
  return AutoScalingGroups?.[0]?.DesiredCapacity ?? 0;
}

/** An account, seen through one stack of chordfs in it. */
export function localCloud(account: Account, record: StackRecord): LocalCloud {
  const { compute, services, stacks, endpoint, region, directory, stop } = account;
  const stack = stacks.asStack(record);
  const autoScalingGroupName = refOf(stack, 'AWS::AutoScaling::AutoScalingGroup');
  const tableName = refOf(stack, 'AWS::DynamoDB::Table');
  const busName = refOf(stack, 'AWS::Events::EventBus');
  const inService = (): readonly InstanceView[] =>
    compute
      .instances()
      .filter((instance) => instance.autoScalingGroupName === autoScalingGroupName)
      .filter((instance) => instance.lifecycleState === 'InService');

  async function nodes(): Promise<readonly CloudNode[]> {
    const idOf = await positions(services, tableName);
    return inService().map(({ instanceId, privateIp, publicIp }) => ({
      instanceId,
      id: idOf.get(instanceId) ?? '',
      privateIp,
      publicIp,
    }));
  }

  return {
    endpoint,
    region,
    directory,
    stop,
    account,
    compute,
    services,
    stack,
    autoScalingGroupName,
    busName,
    tableName,
    faults: services.faults,
    nodes,
    whenReady: (signal) =>
      untilReady(() => desiredCapacity(compute, autoScalingGroupName), inService, signal),
    onScalingEvent: (listener) => services.bridge.onEvent(busName, listener),
  };
}
