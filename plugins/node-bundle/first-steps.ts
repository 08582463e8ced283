import { setTimeout as delay } from 'node:timers/promises';
import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DescribeInstancesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { describeGroup, type GroupInstance } from './node-group.ts';

export interface NodeAddress extends GroupInstance {
  /** Undefined in a subnet that gives none. */
  readonly publicIp: string | undefined;
  readonly privateIp: string | undefined;
}

/** From launch to service a first node takes about three minutes: packages, volume, bundle, ring. */
const FIRST_NODE_LONGEST_MS = 8 * 60_000;
const POLL_MS = 5_000;

/** The group's nodes; after a first deploy it waits until one is in service, or until it is not worth waiting longer. */
export async function findNodes(
  clients: { readonly autoScaling: AutoScalingClient; readonly ec2: EC2Client },
  autoScalingGroupName: string,
  onWait: () => void,
): Promise<readonly NodeAddress[]> {
  const deadline = Date.now() + FIRST_NODE_LONGEST_MS;
  for (let isFirst = true; ; isFirst = false) {
    const group = await describeGroup(clients.autoScaling, autoScalingGroupName);
    const instances = group?.instances ?? [];
    const isServing = instances.some(({ lifecycleState }) => lifecycleState === 'InService');
    if (isServing || group === undefined || group.desiredCapacity === 0 || Date.now() > deadline)
      return await addressesOf(clients.ec2, instances);
    if (isFirst) onWait();
    await delay(POLL_MS);
  }
}

async function addressesOf(
  ec2: EC2Client,
  instances: readonly GroupInstance[],
): Promise<readonly NodeAddress[]> {
  if (instances.length === 0) return [];
  // A filter instead of a list of ids: an instance that is too new to be found is no error then.
  const { Reservations = [] } = await ec2.send(
    new DescribeInstancesCommand({
      Filters: [{ Name: 'instance-id', Values: instances.map(({ instanceId }) => instanceId) }],
    }),
  );
  const machines = new Map(
    Reservations.flatMap(({ Instances = [] }) => Instances).map((machine) => [machine.InstanceId, machine]),
  );
  return instances.map((instance) => {
    const machine = machines.get(instance.instanceId);
    return { ...instance, publicIp: machine?.PublicIpAddress, privateIp: machine?.PrivateIpAddress };
  });
}

/** What to show after a deploy: where the nodes are, and what to try first. */
export function firstSteps(
  nodes: readonly NodeAddress[],
  settings: { readonly clientCidr: string; readonly vpcCidr: string } | undefined,
): readonly string[] {
  if (nodes.length === 0) return ['There is no node yet: `sls info` shows them when there are.'];
  const lines = nodes.map(
    ({ instanceId, lifecycleState, publicIp, privateIp }) =>
      `  ${instanceId}  ${publicIp ?? 'no public address'}  (${privateIp ?? 'no address yet'})  ${lifecycleState}`,
  );
  const serving = nodes.find(({ lifecycleState }) => lifecycleState === 'InService') ?? nodes[0];
  const host = serving?.publicIp ?? serving?.privateIp ?? 'ADDRESS';
  const command = `curl -F files=@README.md http://${host}:5058/upload && curl http://${host}:5058/README.md`;
  // Without a template at hand (`sls info`) it is not known who is let in.
  const isClosed = settings !== undefined && settings.clientCidr === settings.vpcCidr;
  return [
    'Nodes:',
    ...lines,
    ...(isClosed
      ? ['Only the VPC may reach them. To let your own address in: --param clientCidr=YOUR.ADDRESS/32']
      : []),
    `Try:  ${command}`,
  ];
}
