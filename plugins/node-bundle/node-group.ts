import { type AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';

export interface GroupInstance {
  readonly instanceId: string;
  readonly lifecycleState: string;
  readonly isProtected: boolean;
  /** Undefined while Auto Scaling does not say. */
  readonly launchTemplateVersion: string | undefined;
}

export interface DeployedGroup {
  readonly desiredCapacity: number;
  readonly launchTemplateId: string;
  /** What it launches, unless a refresh is under way; not always what was deployed last, see `planRefresh`. */
  readonly launchTemplateVersion: string;
  readonly instances: readonly GroupInstance[];
}

/** Undefined before the first deploy. */
export async function describeGroup(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<DeployedGroup | undefined> {
  const { AutoScalingGroups = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [autoScalingGroupName] }),
  );
  const group = AutoScalingGroups[0];
  const { LaunchTemplateId, Version } = group?.LaunchTemplate ?? {};
  if (group === undefined || LaunchTemplateId === undefined || Version === undefined) return undefined;
  return {
    desiredCapacity: group.DesiredCapacity ?? 0,
    launchTemplateId: LaunchTemplateId,
    launchTemplateVersion: Version,
    instances: (group.Instances ?? []).map((instance) => ({
      instanceId: instance.InstanceId ?? '',
      lifecycleState: instance.LifecycleState ?? '',
      isProtected: instance.ProtectedFromScaleIn ?? false,
      launchTemplateVersion: instance.LaunchTemplate?.Version,
    })),
  };
}
