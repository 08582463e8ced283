import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import type { Ring } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { possibleTags } from './entity-tags.ts';
import type { Files, OpenFile, Reader } from './files.ts';
import { Listing } from './listing.ts';
import type { OwnerCalls } from './owner-calls.ts';
import type { PeerCalls } from './peer-calls.ts';
import { smallContent } from './peer-service.ts';
import type { Placement } from './placement.ts';
import { receiptOf } from './receipts.ts';
import type { RecordReader } from './record-reader.ts';
import { SharedRun } from './shared-run.ts';
import type { SmallFileCache } from './small-file-cache.ts';
import { newUploadId } from './upload-id.ts';
import type { Uploads } from './uploads.ts';
import type { WriteTracker } from './write-tracker.ts';

export interface FilesOptions {
  readonly ring: Pick<Ring, 'snapshot'>;
  readonly store: Store;
  readonly calls: PeerCalls;
  readonly owners: OwnerCalls;
  readonly placement: Placement;
  readonly records: RecordReader;
  readonly chunks: ChunkReader;
  readonly uploads: Uploads;
  readonly cache: SmallFileCache;
  readonly tracker: WriteTracker;
}

/** Read in one go and without a buffer slot. */
const SMALL_BYTES = 256 * 1024;
const DELETE_DEADLINE_MS = 25_000;
const DELETE_ATTEMPT_MS = 6_000;

/** Puts the parts together behind the interface that the HTTP surface uses; `data-plane.ts` makes the parts. */
export function createFiles(options: FilesOptions): Files {
  const { uploads, records, tracker, calls, placement } = options;
  const listing = new Listing(options);
  const listed = new SharedRun(() => tracker.read(() => listing.list(new AbortController().signal)));
  return {
    stage: (name, body, stageOptions) => uploads.stage(name, body, stageOptions),

    open: (name, { signal }) =>
      tracker.read(async () => {
        const found = await records.find(name, signal);
        return found === undefined ? undefined : openFile(options, found);
      }),

    delete: async (name, { ifMatch, signal }) => {
      const deletionId = newUploadId(options.ring.snapshot().self.instanceId);
      const request = { name, deletionId, ifMatch: possibleTags(ifMatch) };
      const { reply } = await options.owners.call(hashName(name), 'delete', request, {
        signal,
        deadlineMs: DELETE_DEADLINE_MS,
        attemptMs: DELETE_ATTEMPT_MS,
      });
      return reply.existed;
    },

    list: ({ signal }) => listed.result(signal),

    receipt: async (name, { signal }) => {
      const found = await records.find(name, signal);
      return found === undefined
        ? undefined
        : await receiptOf(found.record, { calls, placement, signal, now: Date.now });
    },
  };
}

function openFile(
  options: FilesOptions,
  { record, inline }: { readonly record: FileRecord; readonly inline: Uint8Array | undefined },
): OpenFile {
  return {
    record,
    read: ({ start, end }, signal, reader = {}) => {
      if (!(start >= 0 && start <= end && end <= record.sizeBytes))
        throw new ChordfsError('RANGE_NOT_SATISFIABLE', { start, end });
      return readRange(options, { record, inline, start, end, reader }, signal);
    },
  };
}

async function* readRange(
  { chunks, store, cache }: FilesOptions,
  {
    record,
    inline,
    start,
    end,
    reader,
  }: {
    record: FileRecord;
    inline: Uint8Array | undefined;
    start: number;
    end: number;
    reader: Reader;
  },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (start === end) return;
  const isSmall = record.chunks.length === 1 && record.sizeBytes <= SMALL_BYTES;
  const content = inline ?? (isSmall ? await smallContent({ store, cache }, record) : undefined);
  if (content === undefined) yield* chunks.read(record, { start, end, ...reader }, signal);
  else yield content.byteLength === end - start ? content : content.subarray(start, end);
}
