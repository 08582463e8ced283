import {
  type AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  SetDesiredCapacityCommand,
  SetInstanceHealthCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { type GroupView, isActionToCome } from '../../domain/group-view.ts';

export interface LifecycleAction {
  readonly instanceId: string;
  readonly transition: 'launch' | 'terminate';
  readonly lifecycleHookName: string;
  readonly result: 'CONTINUE' | 'ABANDON';
}

/** The group this stage owns; each function picks the few operations it is allowed. */
export interface AutoScalingGroup {
  describe(): Promise<GroupView>;
  /**
   * `completed`: the action is over, by this call or before it. `notYet`: it is visible as waiting and AWS does not
   * know it yet: try again in some seconds. Both "too early" and "too late" are the same ValidationError.
   */
  completeLifecycleAction(action: LifecycleAction): Promise<'completed' | 'notYet'>;
  setDesiredCapacity(desiredCapacity: number): Promise<void>;
  setUnhealthy(instanceId: string): Promise<void>;
  /** Takes one instance out, through its hook, and lowers the desired capacity by one: never call it twice for one decision. */
  terminate(instanceId: string): Promise<void>;
}

export function autoScalingGroup(client: AutoScalingClient, autoScalingGroupName: string): AutoScalingGroup {
  return {
    async describe() {
      const { AutoScalingGroups = [] } = await client.send(
        new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [autoScalingGroupName] }),
      );
      const group = AutoScalingGroups[0];
      if (group === undefined) throw new Error(`no Auto Scaling group ${autoScalingGroupName}`);
      return {
        minSize: group.MinSize ?? 0,
        maxSize: group.MaxSize ?? 0,
        desiredCapacity: group.DesiredCapacity ?? 0,
        instances: (group.Instances ?? []).map(({ InstanceId = '', LifecycleState = '' }) => ({
          instanceId: InstanceId,
          lifecycleState: LifecycleState,
        })),
      };
    },
    async completeLifecycleAction({ instanceId, transition, lifecycleHookName, result }) {
      try {
        await client.send(
          new CompleteLifecycleActionCommand({
            AutoScalingGroupName: autoScalingGroupName,
            LifecycleHookName: lifecycleHookName,
            InstanceId: instanceId,
            LifecycleActionResult: result,
          }),
        );
        return 'completed';
      } catch (error) {
        if (!isNoActiveAction(error)) throw error;
        const state = await lifecycleState(client, instanceId);
        return isActionToCome(transition, state) ? 'notYet' : 'completed';
      }
    },
    async setDesiredCapacity(desiredCapacity) {
      await client.send(
        new SetDesiredCapacityCommand({
          AutoScalingGroupName: autoScalingGroupName,
          DesiredCapacity: desiredCapacity,
          HonorCooldown: false,
        }),
      );
    },
    async terminate(instanceId) {
      await client.send(
        new TerminateInstanceInAutoScalingGroupCommand({
          InstanceId: instanceId,
          ShouldDecrementDesiredCapacity: true,
        }),
      );
    },
    async setUnhealthy(instanceId) {
      await client.send(
        new SetInstanceHealthCommand({
          InstanceId: instanceId,
          HealthStatus: 'Unhealthy',
          ShouldRespectGracePeriod: false,
        }),
      );
    },
  };
}

function isNoActiveAction(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.name === 'ValidationError' &&
    error.message.includes('No active Lifecycle Action found')
  );
}

/** '' for an instance that the group no longer knows. */
async function lifecycleState(client: AutoScalingClient, instanceId: string): Promise<string> {
  const { AutoScalingInstances = [] } = await client.send(
    new DescribeAutoScalingInstancesCommand({ InstanceIds: [instanceId] }),
  );
  return AutoScalingInstances[0]?.LifecycleState ?? '';
}
