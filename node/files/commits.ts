import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Ring } from '../ring/ring.ts';
import { KeyedQueue } from '../store/keyed-queue.ts';
import type { Store } from '../store/store.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { RequestOf } from './peer-operations.ts';
import type { Placement } from './placement.ts';
import type { Replicator } from './replicator.ts';
import type { Tenure } from './tenure.ts';

export interface CommitsOptions {
  readonly ring: Pick<Ring, 'owns' | 'snapshot'>;
  readonly store: Pick<Store, 'getRecord'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly replicator: Replicator;
  readonly tenure: Pick<Tenure, 'issue'>;
  /** Whether this node, as the owner, knows every acknowledged record of the arc that `key` lies in. */
  readonly maySpeakFor: (key: ReturnType<typeof hashName>) => boolean;
  /** Ms since the epoch, for `modifiedMs` alone. */
  readonly wallClock: () => number;
}

/** A record and at most 256 KiB: a replica that needs longer is treated as one that is down. */
const REPLICA_TIMEOUT_MS = 5_000;
/** Answers remembered for repeated commits, see `#answered`. About 10 MB; lowered: a late repeat may commit again. */
const REMEMBERED_COMMITS = 10_000;

/**
 * The owner's side of every change: one change of a name at a time, conditions checked against the newest version,
 * a version issued, the record durable on its replicas, and only then an answer.
 *
 * A change whose outcome could not be established (replicas lost midway) is reported as failed though it may become
 * visible later; repeating it with the same upload id completes it rather than doing it twice.
 */
export class Commits {
  readonly #options: CommitsOptions;
  readonly #names = new KeyedQueue();
  /** A repeat must not bring back content that another upload has replaced since its first run. */
  readonly #answered = new Map<string, FileRecord>();

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  /** @throws ChordfsError `NOT_OWNER`, `NODE_NOT_READY`, `FILE_EXISTS`, `PRECONDITION_FAILED`, `REPLICAS_UNAVAILABLE`. */
  commit(
    request: RequestOf<'commit'>,
    { payload, signal }: { readonly payload: Uint8Array | undefined; readonly signal: AbortSignal },
  ): Promise<FileRecord> {
    const { draft } = request;
    return this.#names.run(draft.name, async () => {
      const existing = this.#existing(draft.name);
      const repeated = this.#answered.get(draft.uploadId);
      if (repeated !== undefined) return repeated;
      if (existing?.uploadId === draft.uploadId) {
        return await this.#replicate(existing, { payload, signal });
      }
      const live = existing?.deleted === false ? existing : undefined;
      checkConditions(live, request);
      const record: FileRecord = {
        ...draft,
        version: await this.#options.tenure.issue(hashName(draft.name), existing?.version, signal),
        deleted: false,
        modifiedMs: this.#options.wallClock(),
      };
      return await this.#replicate(record, { payload, signal });
    });
  }

  /** Whether there was a file to delete. Errors as for `commit`. */
  delete(request: RequestOf<'delete'>, signal: AbortSignal): Promise<boolean> {
    const { name, deletionId } = request;
    return this.#names.run(name, async () => {
      const existing = this.#existing(name);
      if (this.#answered.has(deletionId)) return true;
      if (existing?.uploadId === deletionId) {
        await this.#replicate(existing, { payload: undefined, signal });
        return true;
      }
      const live = existing?.deleted === false ? existing : undefined;
      checkConditions(live, { ifMatch: request.ifMatch, ifNoneMatch: undefined, refuseExisting: false });
      if (live === undefined) return false;
      const tombstone: FileRecord = {
        ...{
          name,
          uploadId: deletionId,
          deleted: true,
          sizeBytes: 0,
          sha256: '',
          contentType: '',
          chunks: [],
        },
        version: await this.#options.tenure.issue(hashName(name), live.version, signal),
        modifiedMs: this.#options.wallClock(),
      };
      await this.#replicate(tombstone, { payload: undefined, signal });
      return true;
    });
  }

  /** The newest version, which this node must be entitled to speak for. */
  #existing(name: string): FileRecord | undefined {
    const key = hashName(name);
    if (!this.#options.ring.owns(key)) throw new ChordfsError('NOT_OWNER', { key });
    if (!this.#options.maySpeakFor(key)) throw new ChordfsError('NODE_NOT_READY', { key });
    return this.#options.store.getRecord(name);
  }

  async #replicate(
    record: FileRecord,
    { payload, signal }: { readonly payload: Uint8Array | undefined; readonly signal: AbortSignal },
  ): Promise<FileRecord> {
    const { ring, calls, placement, replicator } = this.#options;
    const key = hashName(record.name);
    let isSuperseded = false;
    const send = async (member: RingMember, options: { signal: AbortSignal; timeoutMs: number }) => {
      const request = { record, withChunk: payload !== undefined };
      const { reply } = await calls.call(member, 'put-record', request, { ...options, payload });
      // A replica that has a newer version learned it from another owner: this one's time is over.
      if (compareVersions(reply.version, record.version) > 0) isSuperseded = true;
    };
    await replicator.write({ replicas: placement.of(key), signal, timeoutMs: REPLICA_TIMEOUT_MS, send });
    // Checked after the write: an owner that lost its lease meanwhile may not promise that its version is the newest.
    if (isSuperseded || !ring.owns(key)) throw new ChordfsError('NOT_OWNER', { key });
    this.#remember(record);
    return record;
  }

  #remember(record: FileRecord): void {
    this.#answered.set(record.uploadId, record);
    if (this.#answered.size <= REMEMBERED_COMMITS) return;
    for (const oldest of this.#answered.keys()) {
      this.#answered.delete(oldest);
      return;
    }
  }
}

/** RFC 9110, 13.1: the entity tag is the checksum of the content; `*` stands for any live version. */
function checkConditions(
  live: FileRecord | undefined,
  conditions: Pick<RequestOf<'commit'>, 'ifMatch' | 'ifNoneMatch' | 'refuseExisting'>,
): void {
  const matches = (tags: readonly string[]) =>
    live !== undefined && (tags.includes('*') || tags.includes(live.sha256));
  if (conditions.ifMatch !== undefined && !matches(conditions.ifMatch))
    throw new ChordfsError('PRECONDITION_FAILED');
  if (conditions.ifNoneMatch !== undefined && matches(conditions.ifNoneMatch)) {
    throw new ChordfsError('PRECONDITION_FAILED');
  }
  if (conditions.refuseExisting && live !== undefined) throw new ChordfsError('FILE_EXISTS');
}
