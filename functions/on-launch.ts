import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EC2Client } from '@aws-sdk/client-ec2';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { claimKeys, claimPlace } from '../domain/assignment.ts';
import type { InstanceFacts } from '../domain/member-record.ts';
import { dynamodbItemStore } from './adapters/dynamodb-item-store.ts';
import { type Ec2Instances, ec2Instances } from './adapters/ec2-instances.ts';
import { eventBus } from './adapters/event-bus.ts';
import { type ControlPlane, publishQuietly } from './control-plane.ts';
import { type FunctionEnvironment, readEnvironment } from './environment.ts';
import { type LaunchEvent, launchEvent } from './events.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { log } from './log.ts';

export interface Dependencies extends ControlPlane {
  readonly instances: Pick<Ec2Instances, 'find'>;
  readonly newRingId: () => string;
  readonly wait: (ms: number) => Promise<void>;
}

/** EC2 may not know a new instance, or its address, for some seconds. */
const FIND_TRIES = 6;
const FIND_PAUSE_MS = 1_000;

/**
 * Gives a launching instance its place: founder of the ring, or a position in it. The launch action stays open; the
 * node completes it when it holds its data. May run late, twice, or beside the node's own claim: same code, guarded.
 */
export function onLaunch(dependencies: Dependencies) {
  return async ({ detail }: LaunchEvent): Promise<void> => {
    const { stage, store, timing, now, newRingId } = dependencies;
    const instance = await findInstance(dependencies, detail.EC2InstanceId);
    const result = await claimPlace({
      store,
      stage,
      timing,
      now,
      newRingId,
      instance,
      launchToken: detail.LifecycleActionToken,
      source: 'chordfs.control',
      cause: 'EC2 Instance-launch Lifecycle Action',
      correlationId: detail.LifecycleActionToken,
    });
    log('info', 'launch handled', { instanceId: instance.instanceId, result: result.kind });
    await publishQuietly(dependencies, claimKeys(stage, instance.instanceId));
  };
}

async function findInstance({ instances, wait }: Dependencies, instanceId: string): Promise<InstanceFacts> {
  for (let attempt = 1; attempt <= FIND_TRIES; attempt++) {
    const found = await instances.find(instanceId);
    if (found !== undefined) {
      const { privateIp, publicIp, availabilityZone } = found;
      return { instanceId, privateIp, publicIp, availabilityZone };
    }
    if (attempt < FIND_TRIES) await wait(FIND_PAUSE_MS);
  }
  throw new Error(`EC2 does not know ${instanceId} yet`);
}

export function dependencies(environment: FunctionEnvironment): Dependencies {
  return {
    stage: environment.stage,
    timing: environment.timing,
    store: dynamodbItemStore(new DynamoDBClient(), environment.tableName),
    bus: eventBus(new EventBridgeClient(), environment.busName),
    instances: ec2Instances(new EC2Client()),
    now: Date.now,
    newRingId: randomUUID,
    wait,
  };
}

export const handler = lambdaHandler(launchEvent, () => onLaunch(dependencies(readEnvironment(process.env))));
