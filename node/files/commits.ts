import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord, type Version } from '../../domain/file-record.ts';
import type { Ring } from '../ring/ring.ts';
import { KeyedQueue } from '../store/keyed-queue.ts';
import type { Store } from '../store/store.ts';
import { BoundedMap } from './bounded-map.ts';
import { matchesChecksum } from './chunk-checksum.ts';
import type { OpenChanges } from './open-changes.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { RequestOf } from './peer-operations.ts';
import type { Placement } from './placement.ts';
import type { Replicator, ReplicaWrite } from './replicator.ts';
import { checkStagedContent } from './staged-content.ts';
import type { Tenure } from './tenure.ts';

export interface CommitsOptions {
  readonly ring: Pick<Ring, 'owns' | 'snapshot'>;
  readonly store: Pick<Store, 'getRecord' | 'checkRoomForRecord'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly replicator: Replicator;
  readonly tenure: Pick<Tenure, 'issue'>;
  readonly open: OpenChanges;
  /** Whether this node, as the owner, knows every acknowledged record of the arc that `key` lies in. */
  readonly maySpeakFor: (key: ReturnType<typeof hashName>) => boolean;
  /** Ms since the epoch, for `modifiedMs` alone. */
  readonly wallClock: () => number;
}

/** Content of at most 256 KiB: a replica that needs longer is treated as one that is down. */
const CONTENT_TIMEOUT_MS = 4_000;
/** For content and record together: less than the receiver waits for one attempt. */
const CHANGE_TIMEOUT_MS = 5_000;
/** What is left of it for the record in any case. */
const MIN_RECORD_TIMEOUT_MS = 1_500;
/** Answers remembered for repeated commits, see `#answered`. About 10 MB; lowered: a late repeat may commit again. */
const REMEMBERED_COMMITS = 10_000;

/** What came with a commit. */
interface Received {
  /** The only chunk of a small file; the chunks of any other were staged before. */
  readonly payload: Uint8Array | undefined;
  /** This very process has hashed the payload: it has come over no wire. */
  readonly isChecked?: boolean;
  readonly signal: AbortSignal;
}

/**
 * The owner's side of every change: one change of a name at a time, conditions checked against the newest version,
 * a version issued, and then, each step only after the one before it:
 *
 * 1. the content on a quorum of its replicas: whichever record is met later, what it names can be read;
 * 2. the record on so many of the other replicas that with this node they are a quorum;
 * 3. the record here. From then on it is served, and what it replaces is garbage;
 * 4. the answer.
 *
 * Whatever fails in step 1 has had no effect. After step 2 has begun, a failure leaves it open whether the change
 * becomes visible: a replica that took the record may be met by movement, or by the next owner. It is reported as
 * failed, the version before it stays readable and its content is kept (`open-changes.ts`), and repeating the change
 * with the same upload id completes it rather than doing it twice.
 */
export class Commits {
  readonly #options: CommitsOptions;
  readonly #names = new KeyedQueue();
  /** A repeat must not bring back content that another upload has replaced since its first run. */
  readonly #answered = new BoundedMap<string, FileRecord>(REMEMBERED_COMMITS);

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  /**
   * @throws ChordfsError `NOT_OWNER`, `NODE_NOT_READY`, `FILE_EXISTS`, `PRECONDITION_FAILED`; `VOLUME_FULL`: there is
   * no trace of it; `REPLICAS_UNAVAILABLE`: it may become visible later.
   */
  commit(request: RequestOf<'commit'>, received: Received): Promise<FileRecord> {
    const { draft } = request;
    return this.#names.run(draft.name, async () => {
      const existing = this.#existing(draft.name);
      const repeated = this.#answered.get(draft.uploadId);
      if (repeated !== undefined) return repeated;
      if (existing?.uploadId === draft.uploadId) return await this.#make(existing, received);
      const live = existing?.deleted === false ? existing : undefined;
      checkConditions(live, request);
      const record: FileRecord = {
        ...draft,
        version: await this.#nextVersion(draft.name, existing, received.signal),
        deleted: false,
        modifiedMs: this.#options.wallClock(),
      };
      return await this.#make(record, received);
    });
  }

  /** Whether there was a file to delete. Errors as for `commit`. */
  delete(request: RequestOf<'delete'>, signal: AbortSignal): Promise<boolean> {
    const { name, deletionId } = request;
    return this.#names.run(name, async () => {
      const existing = this.#existing(name);
      if (this.#answered.get(deletionId) !== undefined) return true;
      if (existing?.uploadId === deletionId) {
        await this.#make(existing, { payload: undefined, signal });
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
        version: await this.#nextVersion(name, live, signal),
        modifiedMs: this.#options.wallClock(),
      };
      await this.#make(tombstone, { payload: undefined, signal });
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

  /** Newer than what this node has, and than what others may have of changes that failed here. */
  async #nextVersion(name: string, existing: FileRecord | undefined, signal: AbortSignal): Promise<Version> {
    const { tenure, open } = this.#options;
    const highestCounter = Math.max(existing?.version.counter ?? 0, open.highestCounter(name));
    return await tenure.issue(hashName(name), highestCounter, signal);
  }

  async #make(record: FileRecord, received: Received): Promise<FileRecord> {
    const { open, store } = this.#options;
    const { name, uploadId } = record;
    const isFirstAttempt = open.open(name, uploadId);
    const traces = new Set<string>();
    const startedMs = performance.now();
    try {
      // A full disk must still take tombstones: they are what empties it.
      if (!record.deleted) await store.checkRoomForRecord();
      await this.#placeContent(record, received);
      const timeoutMs = Math.max(CHANGE_TIMEOUT_MS - (performance.now() - startedMs), MIN_RECORD_TIMEOUT_MS);
      await this.#placeRecord(record, { traces, timeoutMs, signal: received.signal });
    } catch (error) {
      if (traces.size === 0) {
        if (isFirstAttempt) open.leftNoTrace(name, uploadId);
        throw error;
      }
      open.leftTrace(name, record.version);
      throw isFull(error) ? new ChordfsError('REPLICAS_UNAVAILABLE', {}, { cause: error }) : error;
    }
    open.settled(name);
    this.#answered.set(uploadId, record);
    return record;
  }

  async #placeContent(
    { name, uploadId, chunks }: FileRecord,
    { payload, isChecked = false, signal }: Received,
  ): Promise<void> {
    const { calls, placement, replicator } = this.#options;
    const [ref] = chunks;
    if (ref === undefined) return;
    const timeoutMs = CONTENT_TIMEOUT_MS;
    if (payload === undefined) {
      await checkStagedContent({ uploadId, chunks }, { calls, placement, signal, timeoutMs });
      return;
    }
    // What this node keeps is not hashed again on its way to its own disk.
    if (!isChecked && !(await matchesChecksum(payload, ref))) throw new ChordfsError('CORRUPT', { uploadId });
    const request = { chunk: { ...ref, name, uploadId, index: 0 } };
    const send: ReplicaWrite['send'] = async (member, options) => {
      await calls.call(member, 'put-chunk', request, { ...options, payload });
    };
    await replicator.write({ replicas: placement.of(ref.key), signal, timeoutMs, send });
  }

  /** @param traces Gains every member that may have the record, should this fail. */
  async #placeRecord(
    record: FileRecord,
    {
      traces,
      timeoutMs,
      signal,
    }: { readonly traces: Set<string>; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { ring, calls, placement, replicator } = this.#options;
    const key = hashName(record.name);
    const replicas = placement.of(key);
    const last = replicas.writeSet.find((member) => calls.isSelf(member));
    if (last === undefined) throw new ChordfsError('NOT_OWNER', { key });
    let isSuperseded = false;
    const checkStanding = () => {
      if (isSuperseded || !ring.owns(key)) throw new ChordfsError('NOT_OWNER', { key });
    };
    const send: ReplicaWrite['send'] = async (member, options) => {
      // An owner that lost its lease meanwhile may not serve this version as the newest.
      if (member === last) checkStanding();
      traces.add(member.instanceId);
      try {
        const { reply } = await calls.call(member, 'put-record', { record }, options);
        // A replica that has another version by now learned it from another owner: this one's time is over.
        const order = compareVersions(reply.version, record.version);
        if (order > 0 || (order === 0 && reply.uploadId !== record.uploadId)) isSuperseded = true;
      } catch (error) {
        if (isFull(error)) traces.delete(member.instanceId);
        throw error;
      }
    };
    await replicator.write({ replicas, signal, timeoutMs, last, send });
    checkStanding();
  }
}

function isFull(error: unknown): boolean {
  return error instanceof ChordfsError && error.code === 'VOLUME_FULL';
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
