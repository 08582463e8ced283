import {
  type AutoScalingClient,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingInstancesCommand,
  RecordLifecycleActionHeartbeatCommand,
} from '@aws-sdk/client-auto-scaling';
import { isActionToCome } from '../../domain/group-view.ts';
import { type Log, repeat } from './background-task.ts';

/** This instance's own lifecycle actions; the instance id is enough, no token is needed. */
export interface LifecycleActions {
  /** One try. `notYet`: visible as waiting, and not known to AWS yet (or no more): try again. */
  complete(hookName: string, result: 'CONTINUE' | 'ABANDON'): Promise<'completed' | 'notYet'>;
  /** Restarts the hook's timeout. An action that is not open is not an error: there is nothing to keep open. */
  heartbeat(hookName: string): Promise<void>;
}

export class AutoScalingLifecycleActions implements LifecycleActions {
  readonly #client: AutoScalingClient;
  readonly #autoScalingGroupName: string;
  readonly #instanceId: string;
  readonly #launchHook: string;

  constructor(
    client: AutoScalingClient,
    group: { readonly autoScalingGroupName: string; readonly launchHook: string },
    instanceId: string,
  ) {
    this.#client = client;
    this.#autoScalingGroupName = group.autoScalingGroupName;
    this.#launchHook = group.launchHook;
    this.#instanceId = instanceId;
  }

  async complete(hookName: string, result: 'CONTINUE' | 'ABANDON'): Promise<'completed' | 'notYet'> {
    try {
      await this.#client.send(
        new CompleteLifecycleActionCommand({
          AutoScalingGroupName: this.#autoScalingGroupName,
          LifecycleHookName: hookName,
          InstanceId: this.#instanceId,
          LifecycleActionResult: result,
        }),
      );
      return 'completed';
    } catch (error) {
      if (!isNoActiveAction(error)) throw error;
      // The same error means "too early" and "too late": only the instance's state tells them apart.
      const transition = hookName === this.#launchHook ? 'launch' : 'terminate';
      return isActionToCome(transition, await this.#lifecycleState()) ? 'notYet' : 'completed';
    }
  }

  async heartbeat(hookName: string): Promise<void> {
    try {
      await this.#client.send(
        new RecordLifecycleActionHeartbeatCommand({
          AutoScalingGroupName: this.#autoScalingGroupName,
          LifecycleHookName: hookName,
          InstanceId: this.#instanceId,
        }),
      );
    } catch (error) {
      if (!isNoActiveAction(error)) throw error;
    }
  }

  async #lifecycleState(): Promise<string> {
    const { AutoScalingInstances = [] } = await this.#client.send(
      new DescribeAutoScalingInstancesCommand({ InstanceIds: [this.#instanceId] }),
    );
    return AutoScalingInstances[0]?.LifecycleState ?? '';
  }
}

function isNoActiveAction(error: unknown): boolean {
  return (
    error instanceof Error &&
    error.name === 'ValidationError' &&
    error.message.includes('No active Lifecycle Action found')
  );
}

/**
 * Keeps one action open while work goes on: a heartbeat at once and then every period, until the signal fires or the
 * hard maximum is over. After that the hook's own timeout decides: work that hangs must not hold an instance for ever.
 * One that fails is repeated soon: the hook is patient for three periods, so a pause that grows would outlast it.
 */
export async function keepOpen(options: {
  readonly actions: LifecycleActions;
  readonly hookName: string;
  readonly periodMs: number;
  readonly retryMs: number;
  readonly longestMs: number;
  readonly signal: AbortSignal;
  readonly log: Log;
}): Promise<void> {
  const { actions, hookName, periodMs, retryMs, longestMs, log } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(longestMs)]);
  await repeat({
    name: `lifecycle heartbeat ${hookName}`,
    periodMs,
    retryMs: Math.min(retryMs, periodMs),
    signal,
    log,
    work: async () => {
      await actions.heartbeat(hookName);
      return undefined;
    },
  });
}

/** Completes an action, retrying errors and "not yet" until it is done. @returns false when the time was over first. */
export async function completeFully(options: {
  readonly actions: LifecycleActions;
  readonly hookName: string;
  readonly result: 'CONTINUE' | 'ABANDON';
  readonly retryMs: number;
  readonly longestMs: number;
  readonly signal: AbortSignal;
  readonly log: Log;
}): Promise<boolean> {
  const { actions, hookName, result, retryMs, longestMs, log } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(longestMs)]);
  let isCompleted = false;
  await repeat({
    name: `complete ${hookName}`,
    periodMs: retryMs,
    signal,
    log,
    work: async () => {
      isCompleted = (await actions.complete(hookName, result)) === 'completed';
      return isCompleted ? 'stop' : undefined;
    },
  });
  if (!isCompleted && !options.signal.aborted)
    log('error', 'lifecycle action not completed', { hookName, result });
  return isCompleted;
}
