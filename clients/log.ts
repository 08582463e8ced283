import { DynamoDBClient, paginateQuery } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { isScalingEvent } from '../domain/scaling-log.ts';
import { logPartition } from '../domain/table-writes.ts';
import type { Deployment } from './deployment-options.ts';
import { scalingLogLine } from './scaling-log-line.ts';

/** `chordfs log`: the scaling log as the member table keeps it, oldest first, one line each. */
export async function* logLines({ stage, name, clientConfig }: Deployment): AsyncGenerator<string> {
  const client = new DynamoDBClient(clientConfig);
  const pages = paginateQuery(
    { client },
    {
      TableName: `${name}-members`,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: logPartition(stage) } },
    },
  );
  for await (const { Items = [] } of pages) {
    for (const item of Items) {
      const { event } = unmarshall(item);
      if (!isScalingEvent(event)) continue;
      const { id, source, detailType, atMs, detail } = event;
      yield scalingLogLine({
        id,
        source,
        'detail-type': detailType,
        time: new Date(atMs).toISOString(),
        detail,
      });
    }
  }
}
