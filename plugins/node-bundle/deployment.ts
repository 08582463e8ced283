import { readFile } from 'node:fs/promises';
import {
  type AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  StartInstanceRefreshCommand,
} from '@aws-sdk/client-auto-scaling';
import { type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { marshall } from '@aws-sdk/util-dynamodb';
import { beginTeardown } from '../../domain/ring-meta.ts';

/** What the plugin does with an account, each step safe to repeat. */

/** Puts the bundle where instances fetch it, unless it is there: its key is its hash. */
export async function uploadBundle(
  s3: S3Client,
  options: { readonly bucket: string; readonly key: string; readonly path: string },
): Promise<'uploaded' | 'present'> {
  const { bucket: Bucket, key: Key, path } = options;
  try {
    await s3.send(new HeadObjectCommand({ Bucket, Key }));
    return 'present';
  } catch (error) {
    if (!hasName(error, 'NotFound', 'NoSuchKey')) throw error;
  }
  await s3.send(
    new PutObjectCommand({ Bucket, Key, Body: await readFile(path), ContentType: 'application/gzip' }),
  );
  return 'uploaded';
}

export interface DeployedGroup {
  readonly desiredCapacity: number;
  readonly launchTemplateId: string;
  readonly launchTemplateVersion: string;
}

/** Undefined before the first deploy. */
export async function describeGroup(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
): Promise<DeployedGroup | undefined> {
  const { AutoScalingGroups = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [autoScalingGroupName] }),
  );
  const group = AutoScalingGroups[0];
  const { LaunchTemplateId, Version } = group?.LaunchTemplate ?? {};
  if (group === undefined || LaunchTemplateId === undefined || Version === undefined) return undefined;
  return {
    desiredCapacity: group.DesiredCapacity ?? 0,
    launchTemplateId: LaunchTemplateId,
    launchTemplateVersion: Version,
  };
}

/**
 * Replaces the nodes one by one by the new version, the new one first: a node is in service only when it holds its
 * data, so nothing is lost on the way, also in a group of one. A version that never gets there is rolled back.
 */
export async function refreshNodes(
  autoScaling: AutoScalingClient,
  autoScalingGroupName: string,
  { launchTemplateId, launchTemplateVersion }: DeployedGroup,
): Promise<'started' | 'running already'> {
  try {
    await autoScaling.send(
      new StartInstanceRefreshCommand({
        AutoScalingGroupName: autoScalingGroupName,
        Strategy: 'Rolling',
        DesiredConfiguration: {
          LaunchTemplate: { LaunchTemplateId: launchTemplateId, Version: launchTemplateVersion },
        },
        Preferences: {
          MinHealthyPercentage: 100,
          MaxHealthyPercentage: 200,
          SkipMatching: true,
          AutoRollback: true,
          InstanceWarmup: 0,
          ScaleInProtectedInstances: 'Ignore',
          StandbyInstances: 'Ignore',
        },
      }),
    );
    return 'started';
  } catch (error) {
    if (hasName(error, 'InstanceRefreshInProgress', 'InstanceRefreshInProgressFault'))
      return 'running already';
    throw error;
  }
}

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

function hasName(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}
