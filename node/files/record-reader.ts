import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import type { Identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { orAborted, pause, withDeadline } from '../deadline.ts';
import type { Ring } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import { matchesChecksum } from './chunk-checksum.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';
import type { SmallFileCache } from './small-file-cache.ts';
import { readQuorum } from './write-quorum.ts';

export interface RecordReaderOptions {
  readonly ring: Pick<Ring, 'owns' | 'snapshot'>;
  readonly store: Pick<Store, 'getRecord'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly cache: SmallFileCache;
  /** Whether this node, as the owner, knows every acknowledged record of the arc that `key` lies in. */
  readonly maySpeakFor: (key: Identifier) => boolean;
  readonly limits: ReadLimits;
}

export interface ReadLimits {
  /** How long the owner alone is asked before its replicas are asked as well. Lowered: more needless requests. */
  readonly ownerPatienceMs: number;
  /** For one answer about a record. */
  readonly attemptMs: number;
  /** For finding a record, retries included: longer than a take-over, shorter than a client's own patience. */
  readonly deadlineMs: number;
  /** Content up to this size comes along with the record. */
  readonly inlineLimitBytes: number;
}

export const READ_LIMITS: ReadLimits = {
  ownerPatienceMs: 300,
  attemptMs: 2_000,
  deadlineMs: 15_000,
  inlineLimitBytes: 64 * 1024,
};

export interface FoundRecord {
  /** The newest version; a tombstone when it was deleted; undefined when there has been none. */
  readonly record: FileRecord | undefined;
  /** The verified content of a small file, when it came along. */
  readonly inline: Uint8Array | undefined;
}

const RETRY_MS = 50;

/**
 * Finds the newest acknowledged version of a name: from its owner, which alone may speak for it; when the owner is
 * silent, from so many replicas that one of them must know of every acknowledged write (`write-quorum.ts`).
 */
export class RecordReader {
  readonly #options: RecordReaderOptions;

  constructor(options: RecordReaderOptions) {
    this.#options = options;
  }

  /** The live version, or undefined. @throws ChordfsError `REPLICAS_UNAVAILABLE`; or the signal's reason. */
  async find(
    name: string,
    signal: AbortSignal,
  ): Promise<{ record: FileRecord; inline: Uint8Array | undefined } | undefined> {
    const { record, inline } = await this.#newest(name, signal);
    return record === undefined || record.deleted ? undefined : { record, inline };
  }

  async #newest(name: string, signal: AbortSignal): Promise<FoundRecord> {
    const key = hashName(name);
    const { ring, store, maySpeakFor, limits } = this.#options;
    if (ring.owns(key) && maySpeakFor(key)) {
      const own = readRecord(store, name);
      if (own !== 'damaged') return { record: own, inline: undefined };
    }
    return await withDeadline({ signal, timeoutMs: limits.deadlineMs }, async (deadline) => {
      for (;;) {
        try {
          return await this.#askOnce(name, key, deadline);
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          if (!(error instanceof ChordfsError) || !error.retryable) throw error;
          if (deadline.aborted)
            throw new ChordfsError('REPLICAS_UNAVAILABLE', { reason: error.code }, { cause: error });
        }
        await pause(RETRY_MS, deadline).catch(() => undefined);
      }
    });
  }

  /** First valid answer wins: the owner's own, or a quorum's once the owner has been silent for a while. */
  async #askOnce(name: string, key: Identifier, signal: AbortSignal): Promise<FoundRecord> {
    const { current } = this.#options.placement.of(key);
    const owner = current[0];
    if (owner === undefined) throw new ChordfsError('NODE_NOT_READY', { key });
    return await withDeadline({ signal, timeoutMs: 2 * this.#options.limits.attemptMs }, async (attempt) => {
      const fromOwner = this.#ask(owner, { name, role: 'owner' }, attempt);
      const verdict = await Promise.race([
        fromOwner.then((answer) => ({ answer })).catch(() => 'failed' as const),
        pause(this.#options.limits.ownerPatienceMs, attempt).then(() => 'silent' as const),
      ]);
      if (typeof verdict === 'object') return verdict.answer;
      const fromQuorum = this.#askQuorum(current, name, attempt);
      return await orAborted(Promise.any([fromOwner, fromQuorum]), attempt).catch((error: unknown) => {
        throw error instanceof AggregateError ? error.errors[1] : error;
      });
    });
  }

  async #askQuorum(replicas: readonly RingMember[], name: string, signal: AbortSignal): Promise<FoundRecord> {
    const wanted = readQuorum(replicas.length);
    let syncedCount = 0;
    let newest: FoundRecord = { record: undefined, inline: undefined };
    return await new Promise((resolve, reject) => {
      let pendingCount = replicas.length;
      for (const replica of replicas) {
        this.#ask(replica, { name, role: 'replica' }, signal)
          .then((answer) => {
            newest = newerOf(newest, answer);
            if (answer.isSynced) syncedCount++;
            if (syncedCount >= wanted) resolve(newest);
          })
          .catch(() => undefined)
          .finally(() => {
            pendingCount--;
            if (pendingCount === 0) reject(new ChordfsError('REPLICAS_UNAVAILABLE', { syncedCount, wanted }));
          });
      }
    });
  }

  async #ask(
    member: RingMember,
    { name, role }: { name: string; role: 'owner' | 'replica' },
    signal: AbortSignal,
  ) {
    const { limits, cache, calls } = this.#options;
    const request = { name, role, inlineLimitBytes: limits.inlineLimitBytes };
    const { reply, payload } = await calls.call(member, 'read-record', request, {
      signal,
      timeoutMs: limits.attemptMs,
    });
    const { record, isSynced, isInline } = reply;
    if (!isInline || record === undefined || payload === undefined)
      return { record, isSynced, inline: undefined };
    if (!(await matchesChecksum(payload, record))) return { record, isSynced, inline: undefined };
    cache.put(record.uploadId, payload);
    return { record, isSynced, inline: payload };
  }
}

function newerOf(a: FoundRecord, b: FoundRecord): FoundRecord {
  if (a.record === undefined) return b;
  if (b.record === undefined) return a;
  const order = compareVersions(a.record.version, b.record.version);
  return order > 0 || (order === 0 && a.inline !== undefined) ? a : b;
}

/** A damaged record says nothing about the file: neither that it is there nor that it is not. */
export function readRecord(
  store: Pick<Store, 'getRecord'>,
  name: string,
): FileRecord | undefined | 'damaged' {
  try {
    return store.getRecord(name);
  } catch (error) {
    if (error instanceof ChordfsError && error.code === 'CORRUPT') return 'damaged';
    throw error;
  }
}
