import { setMaxListeners } from 'node:events';
import { ChordfsError } from '../../domain/errors.ts';
import { hashChunk, hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type ChunkRef, type FileRecord } from '../../domain/file-record.ts';
import type { Ring } from '../ring/ring.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { possibleTags } from './entity-tags.ts';
import { checkFileName, renamedFile } from './file-name.ts';
import type { CommitOptions, StagedFile, StageOptions } from './files.ts';
import type { OwnerCalls } from './owner-calls.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { FileDraft } from './peer-operations.ts';
import type { Placement } from './placement.ts';
import type { RecordReader } from './record-reader.ts';
import type { Replicator } from './replicator.ts';
import { Slots } from './slots.ts';
import { type CutChunk, cutUpload } from './upload-cutter.ts';
import { newUploadId } from './upload-id.ts';
import type { WriteTracker } from './write-tracker.ts';

export interface UploadsOptions {
  readonly ring: Pick<Ring, 'snapshot'>;
  readonly calls: PeerCalls;
  readonly owners: OwnerCalls;
  readonly placement: Placement;
  readonly replicator: Replicator;
  readonly records: Pick<RecordReader, 'find'>;
  readonly chunks: Pick<ChunkReader, 'read'>;
  readonly tracker: WriteTracker;
  readonly limits: UploadLimits;
}

export interface UploadLimits {
  /**
   * Content up to this size travels with its record, in one round to the owner. Raised: more memory per waiting
   * upload. Lowered: more uploads take two rounds.
   */
  readonly inlineLimitBytes: number;
  /** Chunks of all uploads held in memory, 4 MiB each. Raised: memory. Lowered: parallel uploads wait. */
  readonly bufferCount: number;
  /** Chunks of one upload on their way to replicas. Raised: hides latency, takes buffers from others. */
  readonly chunksInFlight: number;
  /**
   * For one chunk on one replica: 4 MiB at 0.2 MB/s, so that a ring whose disks are overrun is slow rather than out of
   * service. A replica that hangs is not waited for that long: the ring gives it up within seconds.
   */
  readonly chunkTimeoutMs: number;
  /** For making an upload visible, retries included: longer than any take-over of an arc. */
  readonly commitDeadlineMs: number;
  readonly commitAttemptMs: number;
}

export const UPLOAD_LIMITS: UploadLimits = {
  inlineLimitBytes: 256 * 1024,
  bufferCount: 10,
  chunksInFlight: 3,
  chunkTimeoutMs: 20_000,
  commitDeadlineMs: 25_000,
  commitAttemptMs: 6_000,
};

/** How many names `rename` tries; beyond it the upload is refused. */
const MAX_RENAMES = 1_000;

/** Uploads received by this node. */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #slots: Slots;
  /** Buffers come back only after every replica confirmed: after a failure a socket may still be reading one. */
  readonly #buffers: Uint8Array[] = [];

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#slots = new Slots(options.limits.bufferCount);
  }

  async stage(
    name: string,
    body: AsyncIterable<Uint8Array>,
    { contentType, signal }: StageOptions,
  ): Promise<StagedFile> {
    checkFileName(name);
    const uploadId = this.#newUploadId();
    this.#options.tracker.uploadStarted(uploadId);
    const abort = async () => this.#options.tracker.uploadEnded(uploadId);
    try {
      const { inline, ...summary } = await this.#receive({ name, uploadId, body, signal });
      const draft: FileDraft = { name, uploadId, contentType, ...summary };
      return { abort, commit: (options) => this.#commit({ draft, inline }, options).finally(abort) };
    } catch (error) {
      await abort();
      throw error;
    }
  }

  #newUploadId(): string {
    return newUploadId(this.#options.ring.snapshot().self.instanceId);
  }

  async #receive({ name, uploadId, body, signal }: Upload) {
    const chunks: ChunkRef[] = [];
    const inFlight = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    let holdsBuffer = false;
    const controller = new AbortController();
    // Each replica of each chunk under way listens to it; how many that may be is bounded by the buffers.
    setMaxListeners(0, controller.signal);
    const abort = () => controller.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });

    const onChunk = async ({ index, bytes, sha256, isOnly }: CutChunk) => {
      holdsBuffer = false;
      const key = isOnly ? hashName(name) : hashChunk(name, index, uploadId);
      const store = async () => {
        const ref = { key, sha256: await sha256, sizeBytes: bytes.byteLength };
        chunks[index] = ref;
        await this.#putChunk({ ...ref, uploadId, index, name }, bytes, controller.signal);
      };
      const sending = store().catch((error: unknown) => {
        failure ??= { error };
        controller.abort(error);
      });
      inFlight.add(sending);
      void sending.then(() => inFlight.delete(sending));
      while (inFlight.size >= this.#options.limits.chunksInFlight) await Promise.race(inFlight);
      if (failure !== undefined) throw failure.error;
    };
    try {
      const { inlineLimitBytes } = this.#options.limits;
      const takeBuffer = async () => {
        const buffer = await this.#takeBuffer(controller.signal);
        holdsBuffer = true;
        return buffer;
      };
      const cut = await cutUpload(body, { inlineLimitBytes, takeBuffer, onChunk });
      await Promise.all(inFlight);
      if (failure !== undefined) throw failure.error;
      return { ...cut, chunks };
    } catch (error) {
      controller.abort(error);
      await Promise.all(inFlight);
      if (holdsBuffer) this.#slots.release();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async #takeBuffer(signal: AbortSignal): Promise<Uint8Array> {
    await this.#slots.acquire(signal);
    return this.#buffers.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZE_BYTES);
  }

  async #putChunk(
    chunk: ChunkRef & { uploadId: string; index: number; name: string },
    bytes: Uint8Array,
    signal: AbortSignal,
  ) {
    const { replicator, placement, calls, limits } = this.#options;
    let unconfirmedCount = 0;
    try {
      await replicator.write({
        replicas: placement.of(chunk.key),
        signal,
        timeoutMs: limits.chunkTimeoutMs,
        send: async (member, options) => {
          unconfirmedCount++;
          await calls.call(member, 'put-chunk', { chunk }, { ...options, payload: bytes });
          unconfirmedCount--;
        },
      });
    } finally {
      this.#slots.release();
      if (unconfirmedCount === 0 && this.#buffers.length < limits.bufferCount)
        this.#buffers.push(new Uint8Array(bytes.buffer, 0, CHUNK_SIZE_BYTES));
    }
  }

  async #commit({ draft, inline }: Staged, options: CommitOptions): Promise<FileRecord> {
    if (options.onConflict !== 'rename') return await this.#commitAs({ draft, inline }, options);
    for (let n = 0; n <= MAX_RENAMES; n++) {
      const name = n === 0 ? draft.name : renamedFile(draft.name, n);
      checkFileName(name);
      try {
        return await this.#commitRenamed({ draft, inline }, name, { ...options, onConflict: 'refuse' });
      } catch (error) {
        if (!(error instanceof ChordfsError) || error.code !== 'FILE_EXISTS') throw error;
      }
    }
    throw new ChordfsError('FILE_EXISTS');
  }

  /**
   * Chunks carry the name of their file, which garbage collection goes by. So chunks already stored are copied when
   * the file turns out to need another name; checking first keeps that to the rare race.
   */
  async #commitRenamed({ draft, inline }: Staged, name: string, options: CommitOptions): Promise<FileRecord> {
    if (name === draft.name) return await this.#commitAs({ draft, inline }, options);
    if (inline !== undefined) {
      return await this.#commitAs({ draft: { ...draft, name }, inline }, options);
    }
    const { records, chunks } = this.#options;
    if ((await records.find(name, options.signal)) !== undefined) throw new ChordfsError('FILE_EXISTS');
    const uploadId = this.#newUploadId();
    const body = chunks.read(draft, { start: 0, end: draft.sizeBytes }, options.signal);
    this.#options.tracker.uploadStarted(uploadId);
    try {
      const { inline: copied, ...summary } = await this.#receive({
        name,
        uploadId,
        body,
        signal: options.signal,
      });
      const copy: FileDraft = { name, uploadId, contentType: draft.contentType, ...summary };
      return await this.#commitAs({ draft: copy, inline: copied }, options);
    } finally {
      this.#options.tracker.uploadEnded(uploadId);
    }
  }

  async #commitAs({ draft, inline }: Staged, options: CommitOptions): Promise<FileRecord> {
    const key = hashName(draft.name);
    const isInline = inline !== undefined && inline.byteLength > 0;
    const chunks = isInline ? [{ key, sha256: draft.sha256, sizeBytes: draft.sizeBytes }] : draft.chunks;
    const request = {
      draft: { ...draft, chunks: [...chunks] },
      withChunk: isInline,
      refuseExisting: options.onConflict === 'refuse',
      ifMatch: possibleTags(options.ifMatch),
      ifNoneMatch: possibleTags(options.ifNoneMatch),
    };
    const { commitDeadlineMs, commitAttemptMs } = this.#options.limits;
    const { reply } = await this.#options.owners.call(key, 'commit', request, {
      payload: isInline ? inline : undefined,
      signal: options.signal,
      deadlineMs: commitDeadlineMs,
      attemptMs: commitAttemptMs,
    });
    return reply.record;
  }
}

interface Upload {
  readonly name: string;
  readonly uploadId: string;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

interface Staged {
  readonly draft: FileDraft;
  /** The whole content, when it travels with the record. */
  readonly inline: Uint8Array | undefined;
}
