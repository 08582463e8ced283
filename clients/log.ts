import { setTimeout as pause } from 'node:timers/promises';
import { DynamoDBClient, paginateQuery } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { isScalingEvent } from '../domain/scaling-log.ts';
import { logPartition } from '../domain/table-writes.ts';
import type { CloudEvent } from '../local/cloud.ts';
import type { Deployment } from './deployment-options.ts';
import { localDay, scalingLogLines } from './scaling-log-line.ts';

const LOOK_EVERY_MS = 2_000;
/** An event is filed under the time of its decision, and may be written down this much later. */
const LATENESS_MS = 10 * 60_000;

export interface LogOptions {
  /** Only what was decided after this, ms since the epoch; default: everything that is kept. */
  readonly sinceMs?: number | undefined;
  /** Go on for ever with what is new. */
  readonly isFollowing: boolean;
  /** Columns of the terminal; undefined: it is none. */
  readonly width: number | undefined;
}

/** `chordfs log`: the scaling log as the member table keeps it, oldest first, each day under its date. */
export async function* logLines(deployment: Deployment, options: LogOptions): AsyncGenerator<string> {
  const client = new DynamoDBClient(deployment.clientConfig);
  const seen = new Set<string>();
  let day = '';
  for (let sinceMs = options.sinceMs ?? 0; ; sinceMs = Math.max(sinceMs, Date.now() - LATENESS_MS)) {
    for await (const event of eventsSince(client, deployment, sinceMs)) {
      if (seen.has(event.id)) continue;
      seen.add(event.id);
      const today = localDay(event.time);
      if (today !== day) yield today;
      day = today;
      yield* scalingLogLines(event, options.width);
    }
    if (!options.isFollowing) return;
    await pause(LOOK_EVERY_MS);
  }
}

async function* eventsSince(
  client: DynamoDBClient,
  { stage, name }: Deployment,
  sinceMs: number,
): AsyncGenerator<CloudEvent> {
  const pages = paginateQuery(
    { client },
    {
      TableName: `${name}-members`,
      KeyConditionExpression: 'pk = :pk AND sk >= :since',
      ExpressionAttributeValues: {
        ':pk': { S: logPartition(stage) },
        ':since': { S: new Date(sinceMs).toISOString() },
      },
    },
  );
  for await (const { Items = [] } of pages) {
    for (const item of Items) {
      const { event } = unmarshall(item);
      if (!isScalingEvent(event)) continue;
      const { id, source, detailType, atMs, detail } = event;
      yield { id, source, 'detail-type': detailType, time: new Date(atMs).toISOString(), detail };
    }
  }
}
