import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  type Instance,
} from '@aws-sdk/client-auto-scaling';
import { DescribeInstancesCommand, EC2Client, type Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import { columns } from './columns.ts';
import type { Deployment } from './deployment-options.ts';

async function groupInstances({ name, clientConfig }: Deployment): Promise<Instance[]> {
  const client = new AutoScalingClient(clientConfig);
  const { AutoScalingGroups = [] } = await client.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
  );
  const [group] = AutoScalingGroups;
  if (group === undefined) throw new Error(`There is no Auto Scaling group ${name}: is it deployed?`);
  return group.Instances ?? [];
}

async function addresses({ clientConfig }: Deployment, ids: string[]): Promise<Map<string, Ec2Instance>> {
  const client = new EC2Client(clientConfig);
  // Instances come and go meanwhile: a filter leaves out what is gone, where a list of ids would fail.
  const filter = { Name: 'instance-id', Values: ids };
  const { Reservations = [] } = await client.send(new DescribeInstancesCommand({ Filters: [filter] }));
  const instances = Reservations.flatMap(({ Instances = [] }) => Instances);
  return new Map(instances.map((instance) => [instance.InstanceId ?? '', instance]));
}

/** `chordfs nodes`: every instance of the group with its lifecycle state and addresses, one row each. */
export async function nodeRows(deployment: Deployment): Promise<string[]> {
  const instances = await groupInstances(deployment);
  const ids = instances.map(({ InstanceId = '' }) => InstanceId);
  const found = ids.length === 0 ? new Map<string, Ec2Instance>() : await addresses(deployment, ids);
  const rows = instances.map(({ InstanceId = '', LifecycleState = '' }) => {
    const { PrivateIpAddress = '-', PublicIpAddress = '-' } = found.get(InstanceId) ?? {};
    return [InstanceId, LifecycleState, PrivateIpAddress, PublicIpAddress];
  });
  return columns([['INSTANCE', 'STATE', 'PRIVATE', 'PUBLIC'], ...rows]);
}
