import { AwsError, type Operation } from '../service.ts';
import { causeTime } from './activities.ts';
import type { AutoScaling } from './auto-scaling.ts';
import { activityView, userRequestCause } from './describe.ts';
import type { Group } from './group.ts';
import type { GroupInstance } from './group-state.ts';

interface DesiredInput {
  readonly AutoScalingGroupName: string;
  readonly DesiredCapacity: number;
  readonly HonorCooldown?: boolean;
}

function setDesiredCapacity(autoScaling: AutoScaling, input: DesiredInput): void {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const { configuration, desiredCapacity, lastScalingMs } = group.state;
  const wanted = input.DesiredCapacity;
  if (wanted > configuration.maxSize) {
    const message = `New SetDesiredCapacity value ${wanted} is above max value ${configuration.maxSize} for the AutoScalingGroup.`;
    throw new AwsError('ValidationError', message);
  }
  if (wanted < configuration.minSize) {
    const message = `New SetDesiredCapacity value ${wanted} is below min value ${configuration.minSize} for the AutoScalingGroup.`;
    throw new AwsError('ValidationError', message);
  }
  if (input.HonorCooldown === true && lastScalingMs !== undefined) {
    const freeMs = lastScalingMs + autoScaling.groupTime.scaled(configuration.defaultCooldown * 1000);
    if (autoScaling.nowMs < freeMs) {
      const message = 'Scaling activity is in progress: the group is in its cooldown and blocks this action';
      throw new AwsError('ScalingActivityInProgress', message);
    }
  }
  if (wanted !== desiredCapacity) {
    const what = 'explicitly set group desired capacity';
    group.setDesiredCapacity(wanted, userRequestCause(autoScaling.nowMs, what, desiredCapacity, wanted));
  }
  autoScaling.advance(group);
}

/** @throws AwsError `ValidationError` in AWS's words. */
function managed(autoScaling: AutoScaling, instanceId: string): { group: Group; instance: GroupInstance } {
  const found = autoScaling.groupOfInstance(instanceId);
  if (found !== undefined) return found;
  const message = `Instance Id not found - No managed instance found for instance ID ${instanceId}`;
  throw new AwsError('ValidationError', message);
}

interface TerminateInput {
  readonly InstanceId: string;
  readonly ShouldDecrementDesiredCapacity: boolean;
}

function terminateInstance(autoScaling: AutoScaling, input: TerminateInput) {
  const { group, instance } = managed(autoScaling, input.InstanceId);
  const { desiredCapacity, configuration } = group.state;
  const at = `At ${causeTime(autoScaling.nowMs)}`;
  let cause = `${at} instance ${instance.instanceId} was taken out of service in response to a user request.`;
  const isLeaving = instance.lifecycleState.startsWith('Terminating');
  if (input.ShouldDecrementDesiredCapacity && !isLeaving) {
    if (desiredCapacity - 1 < configuration.minSize) {
      const message = `Currently, desiredSize equals minSize (${configuration.minSize}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`;
      throw new AwsError('ValidationError', message);
    }
    cause = `${at} instance ${instance.instanceId} was taken out of service in response to a user request, shrinking the capacity from ${desiredCapacity} to ${desiredCapacity - 1}.`;
    group.setDesiredCapacity(desiredCapacity - 1, '');
  }
  const activity = group.terminate(instance, cause);
  const view = activityView(group.state, activity);
  autoScaling.advance(group);
  return { Activity: view };
}

interface HealthInput {
  readonly InstanceId: string;
  readonly HealthStatus: string;
  readonly ShouldRespectGracePeriod?: boolean;
}

function setInstanceHealth(autoScaling: AutoScaling, input: HealthInput): void {
  const { group, instance } = managed(autoScaling, input.InstanceId);
  if (input.HealthStatus !== 'Healthy' && input.HealthStatus !== 'Unhealthy') {
    const message = `Valid instance health states are: [Healthy, Unhealthy]`;
    throw new AwsError('ValidationError', message);
  }
  const graceMs = autoScaling.groupTime.scaled(group.state.configuration.healthCheckGracePeriod * 1000);
  const isInGrace = autoScaling.nowMs < (instance.inServiceMs ?? instance.launchedMs) + graceMs;
  if (input.HealthStatus === 'Unhealthy' && input.ShouldRespectGracePeriod !== false && isInGrace) return;
  instance.healthStatus = input.HealthStatus;
  autoScaling.advance(group);
}

interface ProtectionInput {
  readonly AutoScalingGroupName: string;
  readonly InstanceIds: readonly string[];
  readonly ProtectedFromScaleIn: boolean;
}

function setInstanceProtection(autoScaling: AutoScaling, input: ProtectionInput) {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const instances = input.InstanceIds.map((id) => managed(autoScaling, id).instance);
  const notReady = instances.find(({ lifecycleState }) => lifecycleState !== 'InService');
  if (notReady !== undefined) {
    const message = `The instance ${notReady.instanceId} is not in InService or EnteringStandby or Standby.`;
    throw new AwsError('ValidationError', message);
  }
  for (const instance of instances) instance.protectedFromScaleIn = input.ProtectedFromScaleIn;
  autoScaling.advance(group);
  return {};
}

export function capacityOperations(autoScaling: AutoScaling): Record<string, Operation> {
  return {
    SetDesiredCapacity: (input: DesiredInput) => setDesiredCapacity(autoScaling, input),
    TerminateInstanceInAutoScalingGroup: (input: TerminateInput) => terminateInstance(autoScaling, input),
    SetInstanceHealth: (input: HealthInput) => setInstanceHealth(autoScaling, input),
    SetInstanceProtection: (input: ProtectionInput) => setInstanceProtection(autoScaling, input),
  };
}
