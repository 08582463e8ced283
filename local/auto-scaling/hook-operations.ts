import { AwsError, type Operation } from '../service.ts';
import type { AutoScaling } from './auto-scaling.ts';
import { parseHook } from './configuration.ts';
import { LAUNCHING } from './group-state.ts';
import { type ActionReference, findAction, recordHeartbeat } from './lifecycle-actions.ts';

interface ActionInput extends ActionReference {
  readonly AutoScalingGroupName: string;
}

function complete(autoScaling: AutoScaling, input: ActionInput & { LifecycleActionResult: string }) {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const result = input.LifecycleActionResult;
  if (result !== 'CONTINUE' && result !== 'ABANDON') {
    throw new AwsError(
      'ValidationError',
      `Lifecycle Action Result must be one of CONTINUE or ABANDON, not ${result}`,
    );
  }
  const { instance, action } = findAction(group.state, input, autoScaling.nowMs);
  group.lifecycle.complete(instance, action, result, `Lifecycle Action Completed with ${result} Result`);
  autoScaling.advance(group);
  return {};
}

function heartbeat(autoScaling: AutoScaling, input: ActionInput) {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const { action } = findAction(group.state, input, autoScaling.nowMs);
  const hook = group.state.hooks.find(({ LifecycleHookName }) => LifecycleHookName === action.hookName);
  recordHeartbeat(action, hook, autoScaling.groupTime);
  autoScaling.advance(group);
  return {};
}

interface HookInput {
  readonly AutoScalingGroupName: string;
  readonly LifecycleHookName: string;
}

/** Creates or replaces; what a replacement leaves out stays as it was. Open actions keep their deadlines. */
function putHook(autoScaling: AutoScaling, input: HookInput) {
  const { state } = autoScaling.find(input.AutoScalingGroupName);
  const before = state.hooks.find(({ LifecycleHookName }) => LifecycleHookName === input.LifecycleHookName);
  const hook = parseHook({ ...before, ...input });
  state.hooks = [...state.hooks.filter((other) => other !== before), hook];
  return {};
}

/** Open actions end with the hook: launches are abandoned, terminations go on. */
function deleteHook(autoScaling: AutoScaling, input: HookInput) {
  const group = autoScaling.find(input.AutoScalingGroupName);
  const hook = group.state.hooks.find(
    ({ LifecycleHookName }) => LifecycleHookName === input.LifecycleHookName,
  );
  if (hook === undefined) {
    throw new AwsError('ValidationError', `No Lifecycle Hook found with name ${input.LifecycleHookName}`);
  }
  group.state.hooks = group.state.hooks.filter((other) => other !== hook);
  const result = hook.LifecycleTransition === LAUNCHING ? 'ABANDON' : 'CONTINUE';
  for (const instance of [...group.state.instances]) {
    const action = instance.actions.find(({ hookName }) => hookName === hook.LifecycleHookName);
    if (action !== undefined) group.lifecycle.complete(instance, action, result, 'Lifecycle Hook deleted');
  }
  autoScaling.advance(group);
  return {};
}

export function hookOperations(autoScaling: AutoScaling): Record<string, Operation> {
  return {
    CompleteLifecycleAction: (input: ActionInput & { LifecycleActionResult: string }) =>
      complete(autoScaling, input),
    RecordLifecycleActionHeartbeat: (input: ActionInput) => heartbeat(autoScaling, input),
    PutLifecycleHook: (input: HookInput) => putHook(autoScaling, input),
    DeleteLifecycleHook: (input: HookInput) => deleteHook(autoScaling, input),
  };
}
