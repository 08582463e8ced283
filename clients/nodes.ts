import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  type Instance,
} from '@aws-sdk/client-auto-scaling';
import { DynamoDBClient, paginateQuery } from '@aws-sdk/client-dynamodb';
import { DescribeInstancesCommand, EC2Client, type Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { isTerminal, type MemberRecord, parseMember } from '../domain/member-record.ts';
import { NODE_PREFIX, ringPartition } from '../domain/table-writes.ts';
import { columns } from './columns.ts';
import type { Deployment } from './deployment-options.ts';
import { nodeRows } from './node-rows.ts';

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
  if (ids.length === 0) return new Map();
  const client = new EC2Client(clientConfig);
  // Instances come and go meanwhile: a filter leaves out what is gone, where a list of ids would fail.
  const filter = { Name: 'instance-id', Values: ids };
  const { Reservations = [] } = await client.send(new DescribeInstancesCommand({ Filters: [filter] }));
  const instances = Reservations.flatMap(({ Instances = [] }) => Instances);
  return new Map(instances.map((instance) => [instance.InstanceId ?? '', instance]));
}

async function members({ stage, name, clientConfig }: Deployment): Promise<Map<string, MemberRecord>> {
  const pages = paginateQuery(
    { client: new DynamoDBClient(clientConfig) },
    {
      TableName: `${name}-members`,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :node)',
      ExpressionAttributeValues: { ':pk': { S: ringPartition(stage) }, ':node': { S: NODE_PREFIX } },
      ConsistentRead: true,
    },
  );
  const found = new Map<string, MemberRecord>();
  for await (const { Items = [] } of pages) {
    for (const member of Items.flatMap((item) => parseMember(unmarshall(item)) ?? []))
      found.set(member.instanceId, member);
  }
  return found;
}

/** `chordfs nodes`: every instance of the group, and every member that the group does not know, one row each. */
export async function nodeLines(deployment: Deployment): Promise<readonly string[]> {
  const [instances, rows] = await Promise.all([groupInstances(deployment), members(deployment)]);
  const states = new Map(
    instances.map(({ InstanceId = '', LifecycleState }) => [InstanceId, LifecycleState]),
  );
  const ghosts = [...rows.values()]
    .filter(({ state }) => !isTerminal(state))
    .map(({ instanceId }) => instanceId);
  const ids = [...new Set([...states.keys(), ...ghosts])];
  const found = await addresses(deployment, ids);
  const nodes = ids.map((instanceId) => ({
    instanceId,
    lifecycleState: states.get(instanceId),
    privateIp: found.get(instanceId)?.PrivateIpAddress,
    publicIp: found.get(instanceId)?.PublicIpAddress,
    member: rows.get(instanceId),
  }));
  return columns(nodeRows(nodes, Date.now()));
}
