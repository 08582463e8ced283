import { AwsError } from '../service.ts';
import type {
  ActionResult,
  GroupInstance,
  GroupState,
  LifecycleAction,
  LifecycleHook,
  LifecycleTransition,
} from './group-state.ts';

/** Time and names, injected: the same inputs always give the same group. */
export interface GroupTime {
  /** Real ms since the epoch. */
  now(): number;
  /** Cloud ms to real ms. */
  scaled(cloudMs: number): number;
  /** The same for a hook's patience, which has a floor: a node's start takes as long as it takes. */
  patience(cloudMs: number): number;
  newId(): string;
}

/** Whatever the hook's own timeout, AWS ends a wait after this. */
const MAX_WAIT_MS = 48 * 60 * 60 * 1000;
/** ... or after this many heartbeat timeouts, whichever is sooner. */
const MAX_HEARTBEATS = 100;

/** Opens one action per hook of the transition; they run side by side. */
export function openActions(
  group: GroupState,
  instance: GroupInstance,
  transition: LifecycleTransition,
  time: GroupTime,
  completionDelayMs: number,
): readonly { readonly hook: LifecycleHook; readonly action: LifecycleAction }[] {
  const opened = group.hooks
    .filter((hook) => hook.LifecycleTransition === transition)
    .map((hook) => ({ hook, action: openAction(hook, time, completionDelayMs) }));
  instance.actions = opened.map(({ action }) => action);
  return opened;
}

function openAction(hook: LifecycleHook, time: GroupTime, completionDelayMs: number): LifecycleAction {
  const timeoutMs = hook.HeartbeatTimeout * 1000;
  const now = time.now();
  return {
    hookName: hook.LifecycleHookName,
    token: time.newId(),
    deadlineMs: now + time.patience(timeoutMs),
    capMs: now + time.patience(Math.min(MAX_WAIT_MS, MAX_HEARTBEATS * timeoutMs)),
    completableFromMs: now + time.scaled(completionDelayMs),
  };
}

/** Who names an action: by its token, or by the instance alone. */
export interface ActionReference {
  readonly LifecycleHookName: string;
  readonly LifecycleActionToken?: string | undefined;
  readonly InstanceId?: string | undefined;
}

/**
 * The open action a caller means.
 * @throws AwsError `ValidationError` in AWS's words: one text for too early, too late, wrong hook and never existed.
 */
export function findAction(
  group: GroupState,
  reference: ActionReference,
  nowMs: number,
): { readonly instance: GroupInstance; readonly action: LifecycleAction } {
  const { LifecycleActionToken: token, InstanceId: instanceId } = reference;
  if (token === undefined && instanceId === undefined) {
    throw new AwsError(
      'ValidationError',
      'Either a lifecycle action token or an instance ID must be specified',
    );
  }
  for (const instance of group.instances) {
    const action = instance.actions.find(
      (candidate) =>
        candidate.hookName === reference.LifecycleHookName &&
        (token === undefined ? instance.instanceId === instanceId : candidate.token === token),
    );
    if (action !== undefined && action.completableFromMs <= nowMs) return { instance, action };
  }
  const named = token === undefined ? `instance ID ${instanceId}` : `token ${token}`;
  throw new AwsError('ValidationError', `No active Lifecycle Action found with ${named}`);
}

/** Restarts the timeout, never beyond the cap. */
export function recordHeartbeat(
  action: LifecycleAction,
  hook: LifecycleHook | undefined,
  time: GroupTime,
): void {
  const timeoutMs = time.patience((hook?.HeartbeatTimeout ?? 0) * 1000);
  action.deadlineMs = Math.min(time.now() + timeoutMs, action.capMs);
}

/** An action that ended, and how the wait goes on. */
export interface ActionOutcome {
  readonly result: ActionResult;
  /** No other hook is left to wait for: all continued, or one was abandoned. */
  readonly waitIsOver: boolean;
}

/** Ends one action. ABANDON ends the wait at once and with it every other open hook. */
export function endAction(
  instance: GroupInstance,
  action: LifecycleAction,
  result: ActionResult,
): ActionOutcome {
  instance.actions = result === 'ABANDON' ? [] : instance.actions.filter((other) => other !== action);
  return { result, waitIsOver: instance.actions.length === 0 };
}
