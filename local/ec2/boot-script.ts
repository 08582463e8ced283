import type { AccessRequest } from '../iam/evaluate.ts';
import { ACCOUNT_ID, AwsError, type Emit } from '../service.ts';
import type { Machine } from './machine.ts';

/** How the boot script of a machine ended: with a running node, or giving the instance up at this step. */
export type BootOutcome =
  | { readonly kind: 'up' }
  | {
      readonly kind: 'gaveUp';
      readonly step: string;
      /** Of the node that was not started, see user-data.yaml. */
      readonly environment: Readonly<Record<string, string>>;
    };

/** What `give_up` in user-data.yaml does: the reason goes to the scaling log, the launch action is abandoned. */
export function giveUp(
  ports: {
    readonly region: string;
    readonly groupArn: (autoScalingGroupName: string) => string;
    /** Whether the machine's role lets the script do this. */
    readonly permits: (request: AccessRequest) => boolean;
    readonly emit: Emit;
    readonly completeLifecycleAction: (input: {
      readonly AutoScalingGroupName: string;
      readonly LifecycleHookName: string;
      readonly InstanceId: string;
      readonly LifecycleActionResult: 'ABANDON';
    }) => void;
  },
  { instanceId }: Machine,
  { step, environment }: Extract<BootOutcome, { kind: 'gaveUp' }>,
): void {
  const value = (name: string): string => environment[name] ?? '';
  const bus = value('CHORDFS_BUS');
  const mayLog = {
    action: 'events:PutEvents',
    resource: `arn:aws:events:${ports.region}:${ACCOUNT_ID}:event-bus/${bus}`,
    context: new Map([
      ['events:source', ['chordfs.node']],
      ['events:detail-type', ['Join Failed']],
    ]),
  };
  const mayAbandon = {
    action: 'autoscaling:CompleteLifecycleAction',
    resource: ports.groupArn(value('CHORDFS_ASG')),
    context: new Map(),
  };
  const attempts = [
    () =>
      ports.permits(mayLog) &&
      ports.emit({
        source: 'chordfs.node',
        'detail-type': 'Join Failed',
        resources: [],
        detail: {
          ...{ stage: value('CHORDFS_STAGE'), ringId: '', epoch: 0, instanceId },
          cause: `boot failed: ${step}`,
          correlationId: `boot-${instanceId}`,
          before: {},
          after: {},
        },
        bus,
      }),
    () =>
      ports.permits(mayAbandon) &&
      ports.completeLifecycleAction({
        AutoScalingGroupName: value('CHORDFS_ASG'),
        LifecycleHookName: value('CHORDFS_LAUNCH_HOOK'),
        InstanceId: instanceId,
        LifecycleActionResult: 'ABANDON',
      }),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch (error) {
      // As `set +e` in the script: what AWS refuses does not keep it from trying the rest.
      if (!(error instanceof AwsError)) throw error;
    }
  }
}
