import type { AutoScalingGroup, LifecycleAction } from './adapters/auto-scaling.ts';

/** How long one invocation tries; what is left over is done by Lambda's retries or the reconciler. */
const TRIES = 4;

/**
 * Completes a lifecycle action, waiting out AWS's own delay between showing `Terminating:Wait` and accepting the
 * completion. @throws when it is still not completable: the invocation is retried.
 */
export async function completeAction(
  group: Pick<AutoScalingGroup, 'completeLifecycleAction'>,
  action: LifecycleAction,
  options: { readonly retryMs: number; readonly wait: (ms: number) => Promise<void> },
): Promise<void> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    if ((await group.completeLifecycleAction(action)) === 'completed') return;
    if (attempt < TRIES) await options.wait(options.retryMs);
  }
  throw new Error(`lifecycle action of ${action.instanceId} is not completable yet`);
}
