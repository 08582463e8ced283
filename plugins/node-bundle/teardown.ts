import {
  type AutoScalingClient,
  SetInstanceProtectionCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { beginTeardown } from '../../domain/ring-meta.ts';
import { hasName } from './error-name.ts';
import { cancelRefresh, describeGroup } from './node-group.ts';

/** Tells every node that the stage goes: they complete their actions at once instead of handing data over. */
export async function announceTeardown(
  dynamoDb: DynamoDBClient,
  options: { readonly tableName: string; readonly stage: string },
): Promise<'announced' | 'nothing there'> {
  const write = beginTeardown(options.stage);
  try {
    await dynamoDb.send(
      new UpdateItemCommand({
        TableName: options.tableName,
        Key: marshall(write.key),
        UpdateExpression: write.updateExpression,
        ConditionExpression: write.conditionExpression,
        ExpressionAttributeNames: { ...write.names },
        ExpressionAttributeValues: marshall(write.values),
      }),
    );
    return 'announced';
  } catch (error) {
    // Announced by an earlier try, or removed by it.
    if (hasName(error, 'ConditionalCheckFailedException')) return 'announced';
    if (hasName(error, 'ResourceNotFoundException')) return 'nothing there';
    throw error;
  }
}

/**
 * Takes away what would keep the group from being deleted: a refresh under way, instances protected from scale-in,
 * and instances retained because they could not hand over their files, which Auto Scaling itself never ends.
 * @returns the instances that were let go, for the log.
 */
export async function freeInstances(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<readonly string[]> {
  const group = await describeGroup(autoScaling, autoScalingGroupName);
  if (group === undefined) return [];
  await cancelRefresh(autoScaling, autoScalingGroupName);
  const isRetained = ({ lifecycleState }: { lifecycleState: string }) => lifecycleState.endsWith(':Retained');
  const protectedIds = group.instances.flatMap((instance) =>
    instance.isProtected && !isRetained(instance) ? instance.instanceId : [],
  );
  if (protectedIds.length > 0) {
    await autoScaling.send(
      new SetInstanceProtectionCommand({
        AutoScalingGroupName: autoScalingGroupName,
        InstanceIds: protectedIds,
        ProtectedFromScaleIn: false,
      }),
    );
  }
  const retained = group.instances.filter(isRetained).map(({ instanceId }) => instanceId);
  for (const InstanceId of retained) {
    // Not counted in the desired capacity, so there is nothing to decrement.
    await autoScaling.send(
      new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: false }),
    );
  }
  return [...protectedIds, ...retained];
}
