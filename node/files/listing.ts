import { ChordfsError } from '../../domain/errors.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { pause, withDeadline } from '../deadline.ts';
import type { Ring } from '../ring/ring.ts';
import type { Arc } from '../store/store.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';
import { Slots } from './slots.ts';
import { readQuorum } from './write-quorum.ts';

export interface ListingOptions {
  readonly ring: Pick<Ring, 'snapshot'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
}

/** Names per answer: about 0.5 MB. */
const PAGE_SIZE = 2_000;
/** Members asked at once. */
const PARALLEL_ARCS = 8;
const ATTEMPT_MS = 5_000;
const DEADLINE_MS = 20_000;
const RETRY_MS = 100;

/** One member's arc, and which members can tell what is in it. */
interface ArcReplicas {
  readonly arc: Arc;
  readonly replicas: readonly RingMember[];
}

/** The files of the whole ring: each arc from its owner, or from a quorum of its replicas. */
export class Listing {
  readonly #options: ListingOptions;

  constructor(options: ListingOptions) {
    this.#options = options;
  }

  /** Live records without their chunk lists, by name. @throws ChordfsError rather than leave some out. */
  async list(signal: AbortSignal): Promise<readonly FileRecord[]> {
    const found = await withDeadline({ signal, timeoutMs: DEADLINE_MS }, async (deadline) => {
      for (;;) {
        const attempt = await this.#attempt(deadline);
        if (attempt.listed !== undefined) return attempt.listed;
        await pause(RETRY_MS, deadline).catch(() => undefined);
        if (signal.aborted) throw signal.reason;
        if (deadline.aborted) throw new ChordfsError('PEER_UNREACHABLE', { reason: attempt.reason });
      }
    });
    return [...found.values()].filter(({ deleted }) => !deleted).sort(byName);
  }

  async #attempt(signal: AbortSignal): Promise<{ listed?: Map<string, FileRecord>; reason: string }> {
    const { version } = this.#options.ring.snapshot();
    try {
      const listed = await this.#listArcs(signal);
      // Arcs that moved while they were read may have been read twice or not at all.
      return this.#options.ring.snapshot().version === version
        ? { listed, reason: '' }
        : { reason: 'the ring changed' };
    } catch (error) {
      if (!(error instanceof ChordfsError) || !error.retryable) throw error;
      return { reason: error.code };
    }
  }

  async #listArcs(signal: AbortSignal): Promise<Map<string, FileRecord>> {
    const newest = new Map<string, FileRecord>();
    const slots = new Slots(PARALLEL_ARCS);
    const add = (record: FileRecord) => {
      const known = newest.get(record.name);
      if (known === undefined || compareVersions(known.version, record.version) < 0)
        newest.set(record.name, record);
    };
    await Promise.all(
      this.#arcs().map((arc) => slots.run(signal, () => this.#listArc(arc, { add, signal }))),
    );
    return newest;
  }

  #arcs(): ArcReplicas[] {
    const { members } = this.#options.ring.snapshot();
    const owners = members.filter(({ phase }) => phase === 'active' || phase === 'draining');
    if (owners.length === 0) throw new ChordfsError('NODE_NOT_READY');
    return owners.map((owner, i) => {
      const before = owners.at(i - 1) ?? owner;
      return {
        arc: { from: before.id, to: owner.id },
        replicas: this.#options.placement.of(owner.id).current,
      };
    });
  }

  async #listArc(
    { arc, replicas }: ArcReplicas,
    { add, signal }: { readonly add: (record: FileRecord) => void; readonly signal: AbortSignal },
  ): Promise<void> {
    const [owner] = replicas;
    if (owner === undefined) throw new ChordfsError('NODE_NOT_READY');
    try {
      await this.#listFrom(owner, { arc, role: 'owner', add, signal });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ChordfsError) || !error.retryable) throw error;
    }
    const answers = await Promise.allSettled(
      replicas.map((replica) => this.#listFrom(replica, { arc, role: 'replica', add, signal })),
    );
    const syncedCount = answers.filter((answer) => answer.status === 'fulfilled' && answer.value).length;
    if (syncedCount < readQuorum(replicas.length))
      throw new ChordfsError('PEER_UNREACHABLE', { syncedCount });
  }

  /** Whether the member holds every acknowledged record of the arc. */
  async #listFrom(
    member: RingMember,
    {
      arc,
      role,
      add,
      signal,
    }: {
      readonly arc: Arc;
      readonly role: 'owner' | 'replica';
      readonly add: (record: FileRecord) => void;
      readonly signal: AbortSignal;
    },
  ): Promise<boolean> {
    let after: string | undefined;
    for (;;) {
      const request = { arc, after, limit: PAGE_SIZE, role, brief: true };
      const { reply } = await this.#options.calls.call(member, 'list-records', request, {
        signal,
        timeoutMs: ATTEMPT_MS,
      });
      for (const record of reply.records) add(record);
      const last = reply.records.at(-1);
      if (reply.isComplete || last === undefined) return reply.isSynced;
      after = last.name;
    }
  }
}

function byName(a: FileRecord, b: FileRecord): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}
