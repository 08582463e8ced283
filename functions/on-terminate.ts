import { setTimeout as wait } from 'node:timers/promises';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EC2Client } from '@aws-sdk/client-ec2';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { isTerminal, type MemberRecord } from '../domain/member-record.ts';
import { metaKey, parseMeta } from '../domain/ring-meta.ts';
import { type AutoScalingGroup, autoScalingGroup } from './adapters/auto-scaling.ts';
import { dynamodbItemStore } from './adapters/dynamodb-item-store.ts';
import { type Ec2Instances, ec2Instances } from './adapters/ec2-instances.ts';
import { eventBus } from './adapters/event-bus.ts';
import { completeAction } from './complete-action.ts';
import type { ControlPlane } from './control-plane.ts';
import { type FunctionEnvironment, readEnvironment } from './environment.ts';
import { type TerminateEvent, terminateEvent } from './events.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { bury, buryUnknown, findMember, markLeaving, type Trigger } from './member-actions.ts';

export interface Dependencies extends ControlPlane {
  readonly group: Pick<AutoScalingGroup, 'completeLifecycleAction'>;
  readonly instances: Pick<Ec2Instances, 'states'>;
  readonly wait: (ms: number) => Promise<void>;
}

/** EC2 states in which nothing on the machine runs any more. */
const OFF = new Set(['shutting-down', 'terminated', 'stopping', 'stopped']);

/** EventBridge delivers at least once, in any order, or not at all: each line is safe to run again. */
export function onTerminate(dependencies: Dependencies) {
  return async (event: TerminateEvent): Promise<void> => {
    if (event.source === 'aws.ec2') {
      const member = await findMember(dependencies, event.detail['instance-id']);
      // Not ours, or not a member yet: the group's own events will tell.
      if (member?.state !== 'ACTIVE') return;
      await markLeaving(dependencies, member, { cause: event['detail-type'], correlationId: event.id });
      return;
    }
    const { EC2InstanceId: instanceId, LifecycleActionToken, LifecycleHookName } = event.detail;
    const trigger = { cause: event['detail-type'], correlationId: LifecycleActionToken };
    const member = await findMember(dependencies, instanceId);
    const isNodesTask =
      member !== undefined &&
      (await isDrainable(dependencies, member)) &&
      (await startDrain(dependencies, member, { ...trigger, terminateToken: LifecycleActionToken }));
    // The node sees its row, drains, and completes the action itself: it alone knows when its files are safe.
    if (isNodesTask) return;
    const result = (await hasUndrainedFiles(dependencies, member)) ? 'ABANDON' : 'CONTINUE';
    await close(dependencies, instanceId, trigger);
    await completeAction(
      dependencies.group,
      { instanceId, transition: 'terminate', lifecycleHookName: LifecycleHookName, result },
      { retryMs: dependencies.timing.completeRetryMs, wait: dependencies.wait },
    );
  };
}

/** Whether there is a living node with data to hand over, in a ring that goes on. */
async function isDrainable(dependencies: Dependencies, member: MemberRecord): Promise<boolean> {
  const isMember = member.state === 'ACTIVE' || member.state === 'LEAVING';
  return isMember && (await isOnInRing(dependencies, member));
}

/** It was lost while its machine runs on: a group that keeps instances whose files nobody has taken shall keep it. */
async function hasUndrainedFiles(
  dependencies: Dependencies,
  member: MemberRecord | undefined,
): Promise<boolean> {
  return member?.state === 'DEAD' && (await isOnInRing(dependencies, member));
}

async function isOnInRing(dependencies: Dependencies, { instanceId }: MemberRecord): Promise<boolean> {
  const meta = parseMeta(await dependencies.store.get(metaKey(dependencies.stage)));
  if (meta.status === 'TEARDOWN') return false;
  const states = await dependencies.instances.states([instanceId]);
  return !OFF.has(states.get(instanceId) ?? 'terminated');
}

async function startDrain(
  dependencies: Dependencies,
  member: MemberRecord,
  trigger: Trigger & { readonly terminateToken: string },
): Promise<boolean> {
  if (await markLeaving(dependencies, member, trigger)) return true;
  // Refused: it is LEAVING already (a repeated event, a Spot warning before), or it has just become terminal.
  const now = await findMember(dependencies, member.instanceId);
  return now?.state === 'LEAVING';
}

/** Gives the row of a member that will not drain its final state. */
async function close(dependencies: Dependencies, instanceId: string, trigger: Trigger): Promise<void> {
  const member = await findMember(dependencies, instanceId);
  if (member === undefined) {
    await buryUnknown(dependencies, instanceId, trigger);
    return;
  }
  if (isTerminal(member.state)) return;
  const wasMember = member.state === 'ACTIVE' || member.state === 'LEAVING';
  await bury(dependencies, member, wasMember ? 'DEAD' : 'FAILED', trigger);
}

export function dependencies(environment: FunctionEnvironment): Dependencies {
  return {
    stage: environment.stage,
    timing: environment.timing,
    store: dynamodbItemStore(new DynamoDBClient(), environment.tableName),
    bus: eventBus(new EventBridgeClient(), environment.busName),
    group: autoScalingGroup(new AutoScalingClient(), environment.autoScalingGroupName),
    instances: ec2Instances(new EC2Client()),
    now: Date.now,
    wait,
  };
}

export const handler = lambdaHandler(terminateEvent, () =>
  onTerminate(dependencies(readEnvironment(process.env))),
);
