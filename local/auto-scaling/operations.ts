import { AwsError, type Operation, type Service } from '../service.ts';
import type { AutoScaling } from './auto-scaling.ts';
import { capacityOperations } from './capacity-operations.ts';
import { parseGroupInput } from './configuration.ts';
import { describeOperations } from './describe-operations.ts';
import { hookOperations } from './hook-operations.ts';
import { refreshOperations } from './refresh-operations.ts';

interface GroupName {
  readonly AutoScalingGroupName: string;
}

interface Processes extends GroupName {
  readonly ScalingProcesses?: readonly string[];
}

const PROCESSES = [
  'Launch',
  'Terminate',
  'HealthCheck',
  'ReplaceUnhealthy',
  'AZRebalance',
  'AlarmNotification',
  'ScheduledActions',
  'AddToLoadBalancer',
  'InstanceRefresh',
];

function suspend(autoScaling: AutoScaling, input: Processes): void {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const named = input.ScalingProcesses ?? PROCESSES;
  group.state.suspendedProcesses = [...new Set([...group.state.suspendedProcesses, ...named])];
}

function resume(autoScaling: AutoScaling, input: Processes): void {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const named = input.ScalingProcesses ?? PROCESSES;
  group.state.suspendedProcesses = group.state.suspendedProcesses.filter(
    (process) => !named.includes(process),
  );
  autoScaling.advance(group);
}

function deleteGroup(autoScaling: AutoScaling, input: GroupName & { ForceDelete?: boolean }): void {
  const group = autoScaling.find(input.AutoScalingGroupName);
  if (group.state.instances.length > 0 && input.ForceDelete !== true) {
    throw new AwsError(
      'ResourceInUse',
      'You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.',
    );
  }
  group.state.configuration.minSize = 0;
  group.forceTerminate();
  autoScaling.remove(group);
}

function groupOperations(autoScaling: AutoScaling): Record<string, Operation> {
  return {
    CreateAutoScalingGroup: (input: GroupName) => {
      autoScaling.create(input.AutoScalingGroupName, parseGroupInput(input));
    },
    UpdateAutoScalingGroup: (input: GroupName) => {
      autoScaling.update(autoScaling.find(input.AutoScalingGroupName), parseGroupInput(input));
    },
    DeleteAutoScalingGroup: (input: GroupName) => deleteGroup(autoScaling, input),
    SuspendProcesses: (input: Processes) => suspend(autoScaling, input),
    ResumeProcesses: (input: Processes) => resume(autoScaling, input),
  };
}

/** Auto Scaling's API, operation by operation. */
export function autoScalingService(autoScaling: AutoScaling): Service {
  return {
    signingName: 'autoscaling',
    operations: {
      ...groupOperations(autoScaling),
      ...describeOperations(autoScaling),
      ...hookOperations(autoScaling),
      ...capacityOperations(autoScaling),
      ...refreshOperations(autoScaling),
    },
  };
}
