import { ChordfsError } from '../../domain/errors.ts';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Store } from '../store/store.ts';
import type { HeldArc } from './arcs.ts';
import { batchesOf, costOfChunk } from './batches.ts';
import type { Urgency } from './pacer.ts';
import type { ProgressMeter } from './progress.ts';
import { diffChunks, diffRecords } from './replica-diff.ts';
import { allOrFirstFailure, type Route, type Transfer } from './transfer.ts';

export interface ArcSyncOptions {
  readonly store: Store;
  readonly transfer: Transfer;
  readonly progress: ProgressMeter;
}

export interface SyncRequest {
  readonly arc: HeldArc['arc'];
  /** Members to compare with; never this node. */
  readonly members: readonly RingMember[];
  readonly urgency: Urgency;
  readonly signal: AbortSignal;
}

/** Brings this node's copy of an arc up to what other replicas have. Pulls only; it never tells others what to hold. */
export class ArcSync {
  readonly #options: ArcSyncOptions;

  constructor(options: ArcSyncOptions) {
    this.#options = options;
  }

  /**
   * Resolves once this node has every record that each of the members had when they were compared.
   * @throws ChordfsError when one of them could not be compared with, or a record not be fetched; the others have
   * been by then.
   */
  async pullRecords({ arc, members, urgency, signal }: SyncRequest, withContent: boolean): Promise<void> {
    const { store, transfer, progress } = this.#options;
    await eachMember(members, async (member) => {
      const route: Route = { member, urgency, signal };
      for await (const { lackingHere } of diffRecords({
        store,
        calls: transfer.calls,
        member,
        arc,
        signal,
      })) {
        if (withContent)
          progress.found(sumSizes(lackingHere.filter(({ sizeBytes }) => sizeBytes <= CHUNK_SIZE_BYTES)));
        const batches = batchesOf(lackingHere, (record) => transfer.costOf(record, { withContent }));
        await allOrFirstFailure(
          batches.map((batch) => transfer.pullRecords(batch, { ...route, withContent })),
        );
      }
    });
  }

  /** The same for chunks. A chunk that one member has lost since it was listed may come from the next. */
  async pullChunks({ arc, members, urgency, signal }: SyncRequest): Promise<void> {
    const { store, transfer, progress } = this.#options;
    let missingCount = 0;
    await eachMember(members, async (member) => {
      const route: Route = { member, urgency, signal };
      for await (const { lackingHere } of diffChunks({ store, calls: transfer.calls, member, arc, signal })) {
        progress.found(sumSizes(lackingHere));
        const batches = batchesOf(lackingHere, costOfChunk);
        const arrived = await allOrFirstFailure(batches.map((batch) => transfer.pullChunks(batch, route)));
        missingCount += arrived.flat().filter((isHere) => !isHere).length;
      }
    });
    // Whoever listed it may have collected it since. If not, the next comparison shows it again.
    if (missingCount > 0) throw new ChordfsError('CORRUPT', { missingCount });
  }
}

/** One after the other, so that what the first has given is not asked for again; the first failure is told at the end. */
async function eachMember(
  members: readonly RingMember[],
  visit: (member: RingMember) => Promise<void>,
): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  for (const member of members) {
    try {
      await visit(member);
    } catch (error) {
      if (!(error instanceof ChordfsError)) throw error;
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
}

function sumSizes(items: readonly { readonly sizeBytes: number }[]): number {
  return items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
