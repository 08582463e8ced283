import { setMaxListeners } from 'node:events';
import { ChordfsError } from '../../domain/errors.ts';
import { hashChunk, hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES, type ChunkRef, type FileRecord } from '../../domain/file-record.ts';
import type { Ring } from '../ring/ring.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { possibleTags } from './entity-tags.ts';
import { checkFileName, renamedFile } from './file-name.ts';
import type { CommitOptions, StagedFile, StageOptions } from './files.ts';
import { HeldBytes, type HeldShare } from './held-bytes.ts';
import { interruptible } from './interruptible.ts';
import type { OwnerCalls } from './owner-calls.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { FileDraft } from './peer-operations.ts';
import type { Placement } from './placement.ts';
import type { RecordReader } from './record-reader.ts';
import type { Replicator } from './replicator.ts';
import { type TransferLimits, TransferTurns, type Turn } from './transfer-turns.ts';
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
  /**
   * Small content of all uploads held in memory, until it is committed; beyond it, it is stored as chunks at once.
   * Raised: memory. Lowered: forms of many small files go slower.
   */
  readonly heldBytes: number;
  /** Chunks of all uploads in memory, 4 MiB each. Raised: memory. Lowered: parallel uploads wait. */
  readonly turns: TransferLimits;
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
  heldBytes: 16 * 1024 * 1024,
  turns: {
    ...{ atOnce: 10, perCaller: 8, waiting: 256 },
    ...{ patienceMs: 30_000, leastBytes: 128 * 1024, windowMs: 6_000 },
  },
  chunksInFlight: 3,
  chunkTimeoutMs: 20_000,
  commitDeadlineMs: 25_000,
  commitAttemptMs: 6_000,
};

/** How many names `rename` tries; beyond it the upload is refused. */
const MAX_RENAMES = 1_000;
/** An upload under way is not refused for a short rush: its client would have to begin again. */
const LATER_PATIENCE_MS = 100_000;

/** Uploads received by this node. */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #turns: TransferTurns;
  readonly #held: HeldBytes;
  /** Buffers come back only after every replica confirmed: after a failure a socket may still be reading one. */
  readonly #buffers: Uint8Array[] = [];

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#turns = new TransferTurns(options.limits.turns);
    this.#held = new HeldBytes(options.limits.heldBytes);
  }

  async stage(
    name: string,
    body: AsyncIterable<Uint8Array>,
    { contentType, signal, caller = '' }: StageOptions,
  ): Promise<StagedFile> {
    checkFileName(name);
    const uploadId = this.#newUploadId();
    this.#options.tracker.uploadStarted(uploadId);
    const share = this.#held.share(this.#options.limits.inlineLimitBytes);
    const abort = async () => {
      share.letGo();
      this.#options.tracker.uploadEnded(uploadId);
    };
    try {
      const upload = { name, uploadId, body, signal, share, caller, isFromClient: true };
      const { inline, ...summary } = await this.#receive(upload);
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

  async #receive({ name, uploadId, body, signal, share, caller, isFromClient }: Upload) {
    const chunks: ChunkRef[] = [];
    const inFlight = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    let filling: Turn | undefined;
    const controller = new AbortController();
    // Each replica of each chunk under way listens to it; how many that may be is bounded by the buffers.
    setMaxListeners(0, controller.signal);
    const abort = () => controller.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });

    const onChunk = async ({ index, bytes, sha256, isOnly }: CutChunk) => {
      const turn = filling;
      filling = undefined;
      turn?.clientIsDone();
      const key = isOnly ? hashName(name) : hashChunk(name, index, uploadId);
      const store = async () => {
        try {
          const ref = { key, sha256: await sha256, sizeBytes: bytes.byteLength };
          chunks[index] = ref;
          await this.#putChunk({ ...ref, uploadId, index, name }, bytes, controller.signal);
        } finally {
          turn?.end();
        }
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
    let isFirst = true;
    const takeBuffer = async () => {
      const patience = isFirst ? {} : { patienceMs: LATER_PATIENCE_MS };
      isFirst = false;
      filling = await this.#turns.take({ caller, signal: controller.signal, ...patience });
      if (isFromClient) filling.waitForClient((error) => controller.abort(error));
      return this.#buffers.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZE_BYTES);
    };
    const arriving = async function* () {
      for await (const piece of interruptible(body, controller.signal)) {
        filling?.moved(piece.byteLength);
        yield piece;
      }
    };
    try {
      const cut = await cutUpload(arriving(), { ...share, takeBuffer, onChunk });
      await Promise.all(inFlight);
      if (failure !== undefined) throw failure.error;
      return { ...cut, chunks };
    } catch (error) {
      controller.abort(error);
      await Promise.all(inFlight);
      filling?.end();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
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
      if (unconfirmedCount === 0 && this.#buffers.length < limits.turns.atOnce)
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
    const share = this.#held.share(this.#options.limits.inlineLimitBytes);
    try {
      const { inline: copied, ...summary } = await this.#receive({
        ...{ name, uploadId, body, share, signal: options.signal },
        ...{ caller: '', isFromClient: false },
      });
      const copy: FileDraft = { name, uploadId, contentType: draft.contentType, ...summary };
      return await this.#commitAs({ draft: copy, inline: copied }, options);
    } finally {
      share.letGo();
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
  /** What it may hold of small content; given back by whoever made it. */
  readonly share: HeldShare;
  readonly caller: string;
  /** Whoever sends the body may be too slow for it. */
  readonly isFromClient: boolean;
}

interface Staged {
  readonly draft: FileDraft;
  /** The whole content, when it travels with the record. */
  readonly inline: Uint8Array | undefined;
}
