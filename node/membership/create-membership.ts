import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { timing } from '../../domain/timing.ts';
import { awsCalls } from './aws-calls.ts';
import type { Log } from './background-task.ts';
import { DynamodbItemStore } from './dynamodb-item-store.ts';
import { EventBridgeBus } from './event-bus.ts';
import { HttpInstanceMetadata } from './instance-metadata.ts';
import { AutoScalingLifecycleActions } from './lifecycle-actions.ts';
import { ManagedMembership } from './managed-membership.ts';
import type { Membership } from './membership.ts';

export interface MembershipOptions {
  readonly stage: string;
  readonly tableName: string;
  readonly busName: string;
  readonly autoScalingGroupName: string;
  readonly launchHook: string;
  readonly terminateHook: string;
  /** 1 on AWS. */
  readonly timeScale: number;
  readonly region: string;
  /** As in AWS_EC2_METADATA_SERVICE_ENDPOINT; undefined: AWS's own. */
  readonly metadataEndpoint: string | undefined;
  readonly log: Log;
}

/** The node's control plane on AWS's services: endpoint and credentials are the SDK's to find, as on any instance. */
export function createMembership(options: MembershipOptions): Membership {
  const { region, tableName, busName, autoScalingGroupName } = options;
  const client = awsCalls(region);
  return new ManagedMembership({
    stage: options.stage,
    launchHook: options.launchHook,
    terminateHook: options.terminateHook,
    timing: timing(options.timeScale),
    log: options.log,
    now: Date.now,
    store: new DynamodbItemStore(new DynamoDBClient(client), tableName),
    bus: new EventBridgeBus(new EventBridgeClient(client), busName),
    metadata: new HttpInstanceMetadata(options.metadataEndpoint),
    actionsOf: (instanceId) =>
      new AutoScalingLifecycleActions(
        new AutoScalingClient(client),
        { autoScalingGroupName, launchHook: options.launchHook },
        instanceId,
      ),
  });
}
