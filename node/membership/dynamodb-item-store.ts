import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  type QueryCommandOutput,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import type { ItemStore, StoredItem, TableWrite } from '../../domain/table-writes.ts';

/** The member table over DynamoDB, for nodes. The Lambdas have their own: the two planes share only `domain/`. */
export class DynamodbItemStore implements ItemStore {
  readonly #client: DynamoDBClient;
  readonly #tableName: string;

  constructor(client: DynamoDBClient, tableName: string) {
    this.#client = client;
    this.#tableName = tableName;
  }

  async get(key: { readonly pk: string; readonly sk: string }): Promise<StoredItem | undefined> {
    const { Item } = await this.#client.send(
      new GetItemCommand({ TableName: this.#tableName, Key: marshall(key), ConsistentRead: true }),
    );
    return Item === undefined ? undefined : unmarshall(Item);
  }

  async list(pk: string, skPrefix: string): Promise<readonly StoredItem[]> {
    const items: StoredItem[] = [];
    let start: QueryCommandOutput['LastEvaluatedKey'];
    do {
      const page: QueryCommandOutput = await this.#client.send(
        new QueryCommand({
          TableName: this.#tableName,
          KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
          ExpressionAttributeValues: marshall({ ':pk': pk, ':sk': skPrefix }),
          ConsistentRead: true,
          ExclusiveStartKey: start,
        }),
      );
      items.push(...(page.Items ?? []).map((item) => unmarshall(item)));
      start = page.LastEvaluatedKey;
    } while (start !== undefined);
    return items;
  }

  async write(write: TableWrite): Promise<boolean> {
    try {
      await this.#send(write);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }

  async #send(write: TableWrite): Promise<void> {
    const { key, conditionExpression, names, values } = write;
    const input = {
      TableName: this.#tableName,
      Key: marshall(key),
      ConditionExpression: conditionExpression,
      ExpressionAttributeNames: names,
      // DynamoDB refuses an empty map here.
      ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: marshall(values) } : {}),
    };
    if (write.kind === 'delete') await this.#client.send(new DeleteItemCommand(input));
    else
      await this.#client.send(new UpdateItemCommand({ ...input, UpdateExpression: write.updateExpression }));
  }
}
