import { AwsError, type Operation } from '../service.ts';
import { refreshEvent } from './activities.ts';
import type { AutoScaling } from './auto-scaling.ts';
import { changesOf, parseGroupInput } from './configuration.ts';
import { countsAsCapacity, type InstanceRefresh } from './group-state.ts';
import { activeRefresh } from './refresh.ts';
import { isSameTemplate } from './termination-policy.ts';

interface StartInput {
  readonly AutoScalingGroupName: string;
  readonly DesiredConfiguration?: { readonly LaunchTemplate?: object };
  readonly Preferences?: {
    readonly MinHealthyPercentage?: number;
    readonly SkipMatching?: boolean;
    readonly AutoRollback?: boolean;
  };
}

/** AWS's default. */
const MIN_HEALTHY_PERCENTAGE = 90;

function desiredTemplateOf(autoScaling: AutoScaling, { DesiredConfiguration }: StartInput) {
  const LaunchTemplate = DesiredConfiguration?.LaunchTemplate;
  if (LaunchTemplate === undefined) return undefined;
  return changesOf(parseGroupInput({ LaunchTemplate }), autoScaling.resolveName).launchTemplate;
}

function start(autoScaling: AutoScaling, input: StartInput) {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const { state } = group;
  if (activeRefresh(state) !== undefined) {
    const message =
      'An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.';
    throw new AwsError('InstanceRefreshInProgress', message);
  }
  const { MinHealthyPercentage, SkipMatching = true, AutoRollback = false } = input.Preferences ?? {};
  const desiredTemplate = desiredTemplateOf(autoScaling, input);
  if (AutoRollback && desiredTemplate === undefined) {
    const message =
      "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. Set AutoRollback to false or specify a desired configuration and try again.";
    throw new AwsError('ValidationError', message);
  }
  const template = group.resolvedTemplate(desiredTemplate);
  const outdated = state.instances
    .filter((instance) => countsAsCapacity(instance))
    .filter((instance) => !SkipMatching || !isSameTemplate(instance.launchTemplate, template))
    .map(({ instanceId }) => instanceId);
  const refresh: InstanceRefresh = {
    instanceRefreshId: autoScaling.groupTime.newId(),
    startMs: autoScaling.nowMs,
    preferences: {
      minHealthyPercentage: MinHealthyPercentage ?? MIN_HEALTHY_PERCENTAGE,
      skipMatching: SkipMatching,
      autoRollback: AutoRollback,
    },
    desiredTemplate: desiredTemplate === undefined ? undefined : template,
    instancesToUpdate: outdated.length,
    outdated,
    launchFailures: 0,
    status: 'InProgress',
    statusReason: undefined,
    endMs: undefined,
  };
  state.refreshes.push(refresh);
  group.emit(refreshEvent(state, refresh.instanceRefreshId, 'Started'));
  autoScaling.advance(group);
  return { InstanceRefreshId: refresh.instanceRefreshId };
}

function cancel(autoScaling: AutoScaling, input: { readonly AutoScalingGroupName: string }) {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const refresh = activeRefresh(group.state);
  if (refresh === undefined) {
    const message = 'No in progress or pending Instance Refresh found for Auto Scaling group';
    throw new AwsError('ActiveInstanceRefreshNotFound', `${message} ${input.AutoScalingGroupName}`);
  }
  refresh.status = 'Cancelling';
  autoScaling.advance(group);
  return { InstanceRefreshId: refresh.instanceRefreshId };
}

export function refreshOperations(autoScaling: AutoScaling): Record<string, Operation> {
  return {
    StartInstanceRefresh: (input: StartInput) => start(autoScaling, input),
    CancelInstanceRefresh: (input: { readonly AutoScalingGroupName: string }) => cancel(autoScaling, input),
  };
}
