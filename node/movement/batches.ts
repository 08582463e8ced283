import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import { MAX_BATCH_ITEMS } from '../files/peer-operations.ts';

/**
 * What is moved together. Cost is counted in bytes: those that travel, and for each item what could have been moved in
 * the time of the flushes that make it durable.
 */

/** Raised: fewer small files move at once, and a join of many takes longer. Lowered: clients wait for the disk. */
const ITEM_COST_BYTES = 64 * 1024;
/** A batch costs about what a whole chunk does. */
const MAX_BATCH_COST_BYTES = CHUNK_SIZE_BYTES + ITEM_COST_BYTES;
/** A reference to a chunk in a record, as it travels. */
const CHUNK_REF_BYTES = 128;

export interface Batch<T> {
  readonly items: readonly T[];
  readonly costBytes: number;
}

export function costOfChunk({ sizeBytes }: { readonly sizeBytes: number }): number {
  return sizeBytes + ITEM_COST_BYTES;
}

/** The list of chunks of a very large file is itself worth counting; `contentBytes` travel with the record. */
export function costOfRecord({ sizeBytes }: FileRecord, contentBytes: number): number {
  return contentBytes + ITEM_COST_BYTES + Math.ceil(sizeBytes / CHUNK_SIZE_BYTES) * CHUNK_REF_BYTES;
}

/** In order. An item that costs more than a batch may is one by itself. */
export function batchesOf<T>(items: readonly T[], costOf: (item: T) => number): Batch<T>[] {
  const batches: Batch<T>[] = [];
  let batch: T[] = [];
  let costBytes = 0;
  const close = () => {
    if (batch.length > 0) batches.push({ items: batch, costBytes });
    batch = [];
    costBytes = 0;
  };
  for (const item of items) {
    const cost = costOf(item);
    if (costBytes + cost > MAX_BATCH_COST_BYTES || batch.length === MAX_BATCH_ITEMS) close();
    batch.push(item);
    costBytes += cost;
  }
  close();
  return batches;
}
