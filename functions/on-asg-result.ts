import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { isTerminal } from '../domain/member-record.ts';
import { metaKey, parseMeta } from '../domain/ring-meta.ts';
import type { DetailType } from '../domain/scaling-log.ts';
import { dynamodbItemStore } from './adapters/dynamodb-item-store.ts';
import { eventBus } from './adapters/event-bus.ts';
import { type ControlPlane, controlEvent, publishDecision } from './control-plane.ts';
import { type FunctionEnvironment, readEnvironment } from './environment.ts';
import { type AsgResultEvent, asgResultEvent } from './events.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { bury, findMember, type Trigger } from './member-actions.ts';

/**
 * What came of launches, terminations and refreshes. A machine that is gone closes its record, whoever took it; a
 * launch that failed is told, because only the reason (quota, capacity, image) lets a person act.
 */
export function onAsgResult(plane: ControlPlane) {
  return async (event: AsgResultEvent): Promise<void> => {
    const type = event['detail-type'];
    if (isInstanceState(event)) {
      const { 'instance-id': instanceId, state } = event.detail;
      // Rows exist only for this group's machines: all others in the account are none of ours.
      if (state === 'terminated')
        await closeRecord(plane, instanceId, { cause: type, correlationId: event.id });
      return;
    }
    if (isRefresh(event)) {
      const { InstanceRefreshId } = event.detail;
      await tell(plane, {
        detailType: 'Instance Refresh',
        cause: type,
        correlationId: InstanceRefreshId,
        key: type,
        time: event.time,
      });
      return;
    }
    const { ActivityId, EC2InstanceId, StatusMessage = '', Cause = '' } = event.detail;
    if (type === 'EC2 Instance Terminate Successful' && EC2InstanceId !== undefined) {
      await closeRecord(plane, EC2InstanceId, { cause: type, correlationId: ActivityId });
    }
    if (type === 'EC2 Instance Launch Unsuccessful') {
      const cause = `${type}: ${StatusMessage || Cause}`;
      await tell(plane, {
        detailType: 'Scale Out Failed',
        cause,
        correlationId: ActivityId,
        key: 'launch-failed',
        time: event.time,
      });
    }
  };
}

type InstanceStateEvent = Extract<AsgResultEvent, { source: 'aws.ec2' }>;
function isInstanceState(event: AsgResultEvent): event is InstanceStateEvent {
  return event.source === 'aws.ec2';
}
type RefreshEvent = Extract<AsgResultEvent, { detail: { InstanceRefreshId: string } }>;
function isRefresh(event: AsgResultEvent): event is RefreshEvent {
  return 'InstanceRefreshId' in event.detail;
}

async function closeRecord(plane: ControlPlane, instanceId: string, trigger: Trigger): Promise<void> {
  const member = await findMember(plane, instanceId);
  if (member === undefined || isTerminal(member.state)) return;
  const wasMember = member.state === 'ACTIVE' || member.state === 'LEAVING';
  await bury(plane, member, wasMember ? 'DEAD' : 'FAILED', trigger);
}

async function tell(
  plane: ControlPlane,
  facts: Trigger & { readonly detailType: DetailType; readonly key: string; readonly time: string },
): Promise<void> {
  const { detailType, cause, correlationId, key, time } = facts;
  const meta = parseMeta(await plane.store.get(metaKey(plane.stage)));
  await publishDecision(
    plane,
    // At the time AWS gives: a repeated delivery then finds its row in the log and says nothing twice.
    controlEvent({ stage: plane.stage, now: () => Date.parse(time) }, meta, {
      id: `${key}-${correlationId}`,
      detailType,
      cause,
      correlationId,
      before: {},
      after: {},
    }),
  );
}

export function dependencies(environment: FunctionEnvironment): ControlPlane {
  return {
    stage: environment.stage,
    timing: environment.timing,
    store: dynamodbItemStore(new DynamoDBClient(), environment.tableName),
    bus: eventBus(new EventBridgeClient(), environment.busName),
    now: Date.now,
  };
}

export const handler = lambdaHandler(asgResultEvent, () =>
  onAsgResult(dependencies(readEnvironment(process.env))),
);
