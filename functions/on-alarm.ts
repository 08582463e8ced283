import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { autoScalingGroup } from './adapters/auto-scaling.ts';
import { dynamodbItemStore } from './adapters/dynamodb-item-store.ts';
import { eventBus } from './adapters/event-bus.ts';
import { type FunctionEnvironment, readEnvironment } from './environment.ts';
import { type AlarmEvent, alarmEvent } from './events.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { type ScalingDependencies, scaleOut } from './scale-out.ts';

export interface Dependencies extends ScalingDependencies {
  readonly diskAlarmName: string;
}

/** The disk alarm fired: decide once. While it stays in ALARM there are no more events; the reconciler goes on. */
export function onAlarm(dependencies: Dependencies) {
  return async ({ detail }: AlarmEvent): Promise<void> => {
    // The rule filters this already; a wider rule must not add nodes.
    if (detail.alarmName !== dependencies.diskAlarmName || detail.state.value !== 'ALARM') return;
    const alarmKey = `alarm-${Date.parse(detail.state.timestamp)}`;
    await scaleOut(dependencies, { alarmKey, scaleKey: alarmKey, cause: `alarm ${detail.alarmName}` });
  };
}

export function dependencies(environment: FunctionEnvironment): Dependencies {
  return {
    stage: environment.stage,
    timing: environment.timing,
    thresholdPercent: environment.thresholdPercent,
    diskAlarmName: environment.diskAlarmName,
    store: dynamodbItemStore(new DynamoDBClient(), environment.tableName),
    bus: eventBus(new EventBridgeClient(), environment.busName),
    group: autoScalingGroup(new AutoScalingClient(), environment.autoScalingGroupName),
    now: Date.now,
  };
}

export const handler = lambdaHandler(alarmEvent, () => onAlarm(dependencies(readEnvironment(process.env))));
