import { SetDesiredCapacityCommand } from '@aws-sdk/client-auto-scaling';
import type { LocalCloud } from '../../local/local-cloud.ts';
import { autoScalingClient } from './package-variant.ts';

/** As an operator does it with `aws autoscaling set-desired-capacity`. */
export async function setDesiredCapacity(cloud: LocalCloud, DesiredCapacity: number): Promise<void> {
  const client = autoScalingClient(cloud);
  try {
    const AutoScalingGroupName = cloud.autoScalingGroupName;
    await client.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity }));
  } finally {
    client.destroy();
  }
}
