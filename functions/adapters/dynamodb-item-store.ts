import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import type { ItemKey, ItemStore, StoredItem, TableWrite } from '../../domain/table-writes.ts';

/** The member table over DynamoDB, for Lambdas. Retries of throttled calls are the SDK's. */
export function dynamodbItemStore(client: DynamoDBClient, tableName: string): ItemStore {
  return {
    async get(key: ItemKey) {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: tableName, Key: marshall(key), ConsistentRead: true }),
      );
      return Item === undefined ? undefined : unmarshall(Item);
    },
    async list(pk, skPrefix) {
      const items: StoredItem[] = [];
      let start: Awaited<ReturnType<typeof queryPage>>['LastEvaluatedKey'];
      do {
        const page = await queryPage(client, tableName, pk, skPrefix, start);
        items.push(...(page.Items ?? []).map((item) => unmarshall(item)));
        start = page.LastEvaluatedKey;
      } while (start !== undefined);
      return items;
    },
    async write(write) {
      try {
        await send(client, tableName, write);
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
    },
  };
}

function queryPage(
  client: DynamoDBClient,
  tableName: string,
  pk: string,
  skPrefix: string,
  start: Record<string, import('@aws-sdk/client-dynamodb').AttributeValue> | undefined,
) {
  return client.send(
    new QueryCommand({
      TableName: tableName,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
      ExpressionAttributeValues: marshall({ ':pk': pk, ':sk': skPrefix }),
      ConsistentRead: true,
      ExclusiveStartKey: start,
    }),
  );
}

async function send(client: DynamoDBClient, tableName: string, write: TableWrite): Promise<void> {
  const { key, conditionExpression, names, values } = write;
  const shared = {
    TableName: tableName,
    Key: marshall(key),
    ConditionExpression: conditionExpression,
    ExpressionAttributeNames: names,
    // DynamoDB refuses an empty map here.
    ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: marshall(values) } : {}),
  };
  if (write.kind === 'delete') await client.send(new DeleteItemCommand(shared));
  else await client.send(new UpdateItemCommand({ ...shared, UpdateExpression: write.updateExpression }));
}
