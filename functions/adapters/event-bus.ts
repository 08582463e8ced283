import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { EVENT_SOURCES, type EventSink } from '../../domain/scaling-log.ts';

/**
 * The stage's own bus. The control plane also sends what members decided and could not send before they were gone.
 * `PutEvents` answers 200 also for entries it refused, so the count is checked.
 */
export function eventBus(client: EventBridgeClient, busName: string): EventSink {
  return {
    sources: EVENT_SOURCES,
    async put({ id, source, detailType, atMs, detail }) {
      const { FailedEntryCount = 0, Entries = [] } = await client.send(
        new PutEventsCommand({
          Entries: [
            {
              EventBusName: busName,
              Source: source,
              DetailType: detailType,
              Time: new Date(atMs),
              Detail: JSON.stringify({ ...detail, eventId: id }),
            },
          ],
        }),
      );
      if (FailedEntryCount > 0)
        throw new Error(`event ${id} was refused: ${Entries[0]?.ErrorCode ?? 'unknown'}`);
    },
  };
}
