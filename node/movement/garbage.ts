import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { PeerCalls } from '../files/peer-calls.ts';
import type { Placement } from '../files/placement.ts';
import type { Tenure } from '../files/tenure.ts';
import { isReceivedBy } from '../files/upload-id.ts';
import type { Ring } from '../ring/ring.ts';
import type { Arc, ChunkInfo, Store } from '../store/store.ts';
import { chunkIdOf } from './replica-diff.ts';

export interface GarbageOptions {
  readonly ring: Pick<Ring, 'snapshot' | 'owns'>;
  readonly store: Store;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly tenure: Pick<Tenure, 'renew'>;
  readonly limits: GarbageLimits;
  /** Ms since the epoch. */
  readonly wallClock: () => number;
}

export interface GarbageLimits {
  /**
   * From when a chunk is first found to be named by no record until it goes. Longer than any download that may still
   * be reading the replaced version. Raised: space comes back later.
   */
  readonly chunkGraceMs: number;
  /**
   * Least age of a tombstone that all replicas have confirmed. Covers a replica that was lost with an older copy and
   * is brought back by hand; raised, such a copy can come back later without reviving the file.
   */
  readonly tombstoneMinAgeMs: number;
}

export const GARBAGE_LIMITS: GarbageLimits = { chunkGraceMs: 10 * 60_000, tombstoneMinAgeMs: 24 * 3_600_000 };

const PAGE = 500;
const CALL_TIMEOUT_MS = 10_000;

/**
 * Removes what nothing names any more. Done by the owner of each ring position alone, and only on the word of those
 * who know: the record's owner that no live version names the upload, the node that received it that it is not still
 * going on. Whoever cannot be asked keeps the chunk alive.
 */
export class Garbage {
  readonly #options: GarbageOptions;
  /** Chunk -> when it was first found dead. At most the garbage of the own arc; lost at a restart, which only delays. */
  readonly #suspects = new Map<string, number>();

  constructor(options: GarbageOptions) {
    this.#options = options;
  }

  /** One pass over the own arc. Resolves to how many chunks and tombstones were removed. */
  async collect(arc: Arc, signal: AbortSignal): Promise<number> {
    const { members } = this.#options.ring.snapshot();
    const isMoving = members.some(({ phase }) => phase !== 'active');
    const chunkCount = await this.#collectChunks(arc, signal);
    // A newcomer may not have the tombstone yet, and still be sent the older version.
    return chunkCount + (isMoving ? 0 : await this.#collectTombstones(arc, signal));
  }

  async #collectChunks(arc: Arc, signal: AbortSignal): Promise<number> {
    const { store, wallClock, limits } = this.#options;
    const stillSuspect = new Set<string>();
    let removedCount = 0;
    let after: ChunkInfo | undefined;
    for (;;) {
      const page = store.scanChunks(arc, { after, limit: PAGE });
      const old = page.filter(({ storedMs }) => wallClock() - storedMs >= limits.chunkGraceMs);
      const doomed = (await this.#dead(old, signal)).filter((info) => {
        const id = suspectId(info);
        stillSuspect.add(id);
        const since = this.#suspects.get(id) ?? wallClock();
        this.#suspects.set(id, since);
        return wallClock() - since >= limits.chunkGraceMs;
      });
      removedCount += await this.#remove(doomed, signal);
      after = page.at(-1);
      if (page.length < PAGE) break;
    }
    for (const id of this.#suspects.keys()) if (!stillSuspect.has(id)) this.#suspects.delete(id);
    return removedCount;
  }

  /** Those whose upload neither is the live version of its file nor can still become it. */
  async #dead(chunks: readonly ChunkInfo[], signal: AbortSignal): Promise<ChunkInfo[]> {
    const uploads = new Map(
      chunks.map((info) => [info.uploadId, { name: info.name, uploadId: info.uploadId }]),
    );
    const deadUploads = new Set<string>();
    const ownerOf = ({ name }: { readonly name: string }) =>
      this.#options.placement.of(hashName(name)).current[0];
    const byOwner = groupByMember([...uploads.values()], ownerOf);
    for (const { member, items } of byOwner) {
      const live = await this.#ask(member, 'are-live', { uploads: items }, signal);
      for (const [i, { uploadId }] of items.entries()) if (live?.live[i] === false) deadUploads.add(uploadId);
    }
    const byReceiver = groupByMember([...deadUploads], (uploadId) => this.#receiverOf(uploadId));
    for (const { member, items } of byReceiver) {
      const answer = await this.#ask(member, 'are-active', { uploadIds: items }, signal);
      for (const [i, uploadId] of items.entries())
        if (answer?.active[i] !== false) deadUploads.delete(uploadId);
    }
    return chunks.filter(({ uploadId }) => deadUploads.has(uploadId));
  }

  /**
   * The instance that received the upload, whatever its place and incarnation are by now. One that is no member has
   * been given up; should it come back within the grace period, it is asked then, and later it finds out when it
   * commits (`staged-content.ts`).
   */
  #receiverOf(uploadId: string): RingMember | undefined {
    return this.#options.ring.snapshot().members.find(({ instanceId }) => isReceivedBy(uploadId, instanceId));
  }

  async #remove(doomed: readonly ChunkInfo[], signal: AbortSignal): Promise<number> {
    const { placement, calls } = this.#options;
    for (const [, group] of groupByKey(doomed, (info) => membersKey(placement.of(info.key).writeSet))) {
      const [first] = group;
      if (first === undefined) continue;
      const chunks = group.map((info) => chunkIdOf(info)).filter((id) => id !== undefined);
      for (const member of placement.of(first.key).writeSet) {
        // A replica that is away keeps its copy; the next comparison brings it back here, and it is collected again.
        await calls
          .call(member, 'remove-chunks', { chunks }, { signal, timeoutMs: CALL_TIMEOUT_MS })
          .catch(ignoreOperating);
      }
    }
    return doomed.length;
  }

  async #collectTombstones(arc: Arc, signal: AbortSignal): Promise<number> {
    const { store, wallClock, limits } = this.#options;
    let removedCount = 0;
    let after: FileRecord | undefined;
    for (;;) {
      const page = store.scanRecords(arc, { after, limit: PAGE });
      for (const record of page) {
        const isOld = record.deleted && wallClock() - record.modifiedMs >= limits.tombstoneMinAgeMs;
        if (isOld && (await this.#dropTombstone(record, signal))) removedCount++;
      }
      after = page.at(-1);
      if (page.length < PAGE) return removedCount;
    }
  }

  /**
   * No replica may have anything older than this tombstone: it would revive the file, as would a stand-in. This node's
   * own copy goes last, once all others are gone: as long as one is left anywhere, the next version is numbered after it.
   */
  async #dropTombstone({ name, version }: FileRecord, signal: AbortSignal): Promise<boolean> {
    const { ring, placement, tenure, store } = this.#options;
    if (!ring.owns(hashName(name))) return false;
    const { writeSet: replicas, standIns } = placement.of(hashName(name));
    const others = replicas.filter((member) => !this.calls.isSelf(member));
    const request = { name, role: 'replica' as const, inlineLimitBytes: 0 };
    const held: { readonly member: RingMember; readonly record: FileRecord | undefined }[] = [];
    for (const member of [...others, ...standIns]) {
      const answer = await this.#ask(member, 'read-record', request, signal);
      if (answer === undefined) return false;
      held.push({ member, record: answer.record });
    }
    // A replica that has none has dropped it in an earlier attempt, which another one did not confirm.
    const isConfirmed = held.every(
      ({ record }) => record === undefined || compareVersions(record.version, version) === 0,
    );
    if (!isConfirmed) return false;
    for (const { member, record } of held) {
      if (record === undefined) continue;
      const answer = await this.#ask(member, 'remove-tombstone', { name, version }, signal);
      if (answer?.removed !== true) return false;
    }
    // Whatever is known of no longer, on a disk that is away, must not be newer than what is uploaded from now on.
    tenure.renew();
    return await store.removeRecord(name, version);
  }

  /** Undefined when the member did not answer: nothing is concluded from that. */
  async #ask<O extends 'are-live' | 'are-active' | 'read-record' | 'remove-tombstone'>(
    member: RingMember,
    operation: O,
    request: Parameters<typeof this.calls.call<O>>[2],
    signal: AbortSignal,
  ) {
    const answer = await this.calls
      .call(member, operation, request, { signal, timeoutMs: CALL_TIMEOUT_MS })
      .catch(ignoreOperating);
    return answer?.reply;
  }

  get calls(): PeerCalls {
    return this.#options.calls;
  }
}

function suspectId({ key, uploadId, index }: ChunkInfo): string {
  return `${key} ${uploadId} ${index}`;
}

function membersKey(members: readonly RingMember[]): string {
  return members.map(({ instanceId }) => instanceId).join();
}

function groupByKey<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Items without a member are left out. */
function groupByMember<T>(items: readonly T[], memberOf: (item: T) => RingMember | undefined) {
  const groups = new Map<string, { readonly member: RingMember; readonly items: T[] }>();
  for (const item of items) {
    const member = memberOf(item);
    if (member === undefined) continue;
    const group = groups.get(member.instanceId) ?? { member, items: [] };
    group.items.push(item);
    groups.set(member.instanceId, group);
  }
  return groups.values();
}

function ignoreOperating(error: unknown): undefined {
  if (error instanceof ChordfsError) return undefined;
  throw error;
}
