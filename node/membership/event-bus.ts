import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import type { EventSink, ScalingEvent } from '../../domain/scaling-log.ts';

/**
 * The stage's bus, as a node may use it: what the control plane decided is told by the control plane, so that a node
 * that was broken into cannot forge decisions. `PutEvents` answers 200 also for entries it refused: the count is checked.
 */
export class EventBridgeBus implements EventSink {
  readonly sources = ['chordfs.node'] as const;
  readonly #client: EventBridgeClient;
  readonly #busName: string;

  constructor(client: EventBridgeClient, busName: string) {
    this.#client = client;
    this.#busName = busName;
  }

  async put({ id, source, detailType, atMs, detail }: ScalingEvent): Promise<void> {
    const { FailedEntryCount = 0, Entries = [] } = await this.#client.send(
      new PutEventsCommand({
        Entries: [
          {
            EventBusName: this.#busName,
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
  }
}
