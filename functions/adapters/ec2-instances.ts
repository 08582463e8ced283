import { DescribeInstancesCommand, type EC2Client, type Instance } from '@aws-sdk/client-ec2';
import type { InstanceFacts } from '../../domain/member-record.ts';

export interface Ec2Instances {
  /** Undefined while EC2 does not know the instance or its address yet: it is eventually consistent after a launch. */
  find(instanceId: string): Promise<(InstanceFacts & { readonly state: string }) | undefined>;
  /** States by instance id (`running`, `terminated`, ...); ids that EC2 no longer knows are left out. */
  states(instanceIds: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** One request's filter takes at most this many values. */
const FILTER_VALUES = 200;

export function ec2Instances(client: EC2Client): Ec2Instances {
  // A filter, unlike InstanceIds, answers for the ids it knows instead of failing for all when one is unknown.
  const describe = async (instanceIds: readonly string[]): Promise<Instance[]> => {
    const found: Instance[] = [];
    for (let start = 0; start < instanceIds.length; start += FILTER_VALUES) {
      const { Reservations = [] } = await client.send(
        new DescribeInstancesCommand({
          Filters: [{ Name: 'instance-id', Values: instanceIds.slice(start, start + FILTER_VALUES) }],
        }),
      );
      found.push(...Reservations.flatMap(({ Instances = [] }) => Instances));
    }
    return found;
  };
  return {
    async find(instanceId) {
      const [instance] = await describe([instanceId]);
      const privateIp = instance?.PrivateIpAddress;
      if (instance === undefined || privateIp === undefined) return undefined;
      return {
        instanceId,
        privateIp,
        publicIp: instance.PublicIpAddress ?? privateIp,
        availabilityZone: instance.Placement?.AvailabilityZone ?? '',
        state: instance.State?.Name ?? '',
      };
    },
    async states(instanceIds) {
      const instances = await describe(instanceIds);
      return new Map(instances.map(({ InstanceId = '', State }) => [InstanceId, State?.Name ?? '']));
    },
  };
}
