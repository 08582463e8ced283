import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { matchesChecksum } from '../files/chunk-checksum.ts';
import type { PeerCalls } from '../files/peer-calls.ts';
import { Slots } from '../files/slots.ts';
import type { ChunkInfo, Store } from '../store/store.ts';
import { type Batch, costOfChunk, costOfRecord } from './batches.ts';
import type { Pacer, Urgency } from './pacer.ts';
import { callPatiently } from './patient-calls.ts';
import type { ProgressMeter } from './progress.ts';

export interface TransferOptions {
  readonly store: Store;
  readonly calls: PeerCalls;
  readonly pacer: Pacer;
  readonly progress: ProgressMeter;
  /** Told of each record that arrived. */
  readonly onRecord: (name: string) => void;
}

export interface Route {
  readonly member: RingMember;
  readonly urgency: Urgency;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 10_000;
/**
 * Chunks written to the disk at once, out of the 16 threads that a node has for its files. Raised: clients' own writes
 * queue behind movement's flushes. Lowered: flushes that the disk would have done together come one by one.
 */
const STORED_AT_ONCE = 10;

/** Copies records and chunks between this node and another, verified on both ends. Every step may be repeated. */
export class Transfer {
  readonly #options: TransferOptions;
  readonly #storing = new Slots(STORED_AT_ONCE);

  constructor(options: TransferOptions) {
    this.#options = options;
  }

  /** What pulling this record will cost, and whether the only chunk of a small file is to come with it. */
  costOf(brief: FileRecord, { withContent }: { readonly withContent: boolean }): number {
    return costOfRecord(brief, withContent && this.#lacksContentOf(brief) ? brief.sizeBytes : 0);
  }

  /**
   * Fetches the newest versions the member has of some records; with `withContent`, also the only chunk of each small
   * file, in the same round and stored first, so that the record is never there without it.
   */
  async pullRecords(
    { items, costBytes }: Batch<FileRecord>,
    { withContent, ...route }: Route & { readonly withContent: boolean },
  ): Promise<void> {
    const { pacer } = this.#options;
    await pacer.run({ ...route, costBytes }, async () => {
      const wanted = items.map((brief) => ({
        name: brief.name,
        withContent: withContent && this.#lacksContentOf(brief),
      }));
      const { reply, payload } = await this.#call(route, 'read-records', { wanted });
      if (reply.isBusy === true) pacer.peerIsBusy();
      let offset = 0;
      await allOrFirstFailure(
        reply.found.map(({ record, contentBytes }) => {
          const content = payload?.subarray(offset, offset + contentBytes);
          offset += contentBytes;
          // Gone since it was listed: dropped there as confirmed by others, who will be compared with as well.
          return record === undefined ? undefined : this.#storeRecord(record, content, route.signal);
        }),
      );
    });
  }

  /** For each chunk, whether it is here now. It is not when the member has no intact copy any more. */
  async pullChunks({ items, costBytes }: Batch<ChunkInfo>, route: Route): Promise<boolean[]> {
    const { store, pacer } = this.#options;
    return await pacer.run({ ...route, costBytes }, async () => {
      const lacking = items.filter((info) => store.getChunk(info) === undefined);
      if (lacking.length === 0) return items.map(() => true);
      const chunks = lacking.map(({ key, uploadId, index }) => ({ key, uploadId, index }));
      const { reply, payload = new Uint8Array() } = await this.#call(route, 'get-chunks', { chunks });
      if (reply.isBusy === true) pacer.peerIsBusy();
      let offset = 0;
      const arrived = new Map<ChunkInfo, Promise<boolean>>();
      for (const [i, info] of lacking.entries()) {
        const end = offset + (reply.sizesBytes[i] ?? 0);
        arrived.set(info, this.#storeChunk(info, payload.subarray(offset, end), route.signal));
        offset = end;
      }
      return await allOrFirstFailure(items.map((info) => arrived.get(info) ?? true));
    });
  }

  /** Whether the member has the chunk now. False when this node's own copy turns out to be damaged or gone. */
  async pushChunk(info: ChunkInfo, route: Route): Promise<boolean> {
    const { store, pacer, progress } = this.#options;
    const { key, uploadId, index, name, sha256, sizeBytes } = info;
    return await pacer.run({ ...route, costBytes: costOfChunk(info) }, async () => {
      const payload = await store.readChunk({ key, uploadId, index });
      if (payload === undefined) return false;
      await this.#call(
        route,
        'put-chunk',
        { chunk: { key, uploadId, index, name, sha256, sizeBytes } },
        payload,
      );
      progress.moved(sizeBytes, { isFile: false });
      return true;
    });
  }

  /** Gives the member this node's version of a record, if it still has one. */
  async pushRecord(brief: FileRecord, route: Route): Promise<void> {
    const { store, pacer, progress } = this.#options;
    await pacer.run({ ...route, costBytes: costOfRecord(brief, 0) }, async () => {
      const record = store.getRecord(brief.name);
      if (record === undefined) return;
      await this.#call(route, 'put-record', { record });
      progress.moved(0, { isFile: true });
    });
  }

  #lacksContentOf({ name, uploadId, deleted, sizeBytes }: FileRecord): boolean {
    if (deleted || sizeBytes === 0 || sizeBytes > CHUNK_SIZE_BYTES) return false;
    return this.#options.store.getChunk({ key: hashName(name), uploadId, index: 0 }) === undefined;
  }

  async #storeRecord(record: FileRecord, content: Uint8Array | undefined, signal: AbortSignal) {
    const { store, progress, onRecord } = this.#options;
    const { name, uploadId } = record;
    const [ref] = record.chunks;
    // Without good content the record still comes: its chunk may be had from another replica.
    if (content !== undefined && content.byteLength > 0 && ref !== undefined)
      await this.#storeChunk({ ...ref, uploadId, index: 0, name }, content, signal);
    await store.putRecord(record);
    progress.moved(0, { isFile: true });
    onRecord(name);
  }

  /** Verified before it is kept: damage must not spread by being repaired from. */
  async #storeChunk(
    { key, uploadId, index, name, sha256, sizeBytes }: Omit<ChunkInfo, 'storedMs' | 'verifiedMs'>,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { store, progress } = this.#options;
    if (!(await matchesChecksum(bytes, { sha256, sizeBytes }))) return false;
    await this.#storing.run(signal, () =>
      store.putChunk({ key, uploadId, index, name, sha256, sizeBytes }, bytes, { isChecked: true }),
    );
    progress.moved(sizeBytes, { isFile: false });
    return true;
  }

  async #call<O extends 'read-records' | 'get-chunks' | 'put-chunk' | 'put-record'>(
    { member, signal }: Route,
    operation: O,
    request: Parameters<typeof this.calls.call<O>>[2],
    payload?: Uint8Array,
  ) {
    return await callPatiently(this.calls, member, operation, request, {
      signal,
      timeoutMs: TIMEOUT_MS,
      payload,
    });
  }

  get calls(): PeerCalls {
    return this.#options.calls;
  }
}

/** Lets every item finish before it fails, so that one bad copy does not keep the others from moving. */
export async function allOrFirstFailure<T>(items: readonly (T | Promise<T>)[]): Promise<T[]> {
  const settled = await Promise.allSettled(items);
  return settled.map((item) => {
    if (item.status === 'rejected') throw item.reason;
    return item.value;
  });
}
