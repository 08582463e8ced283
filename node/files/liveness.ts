import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import type { Identifier } from '../../domain/identifier.ts';
import type { Ring } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import { BoundedMap } from './bounded-map.ts';
import type { OpenChanges } from './open-changes.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';
import { readRecord } from './record-reader.ts';
import { Slots } from './slots.ts';
import { writeVerdict } from './write-quorum.ts';

export interface LivenessOptions {
  readonly ring: Pick<Ring, 'owns'>;
  readonly store: Pick<Store, 'getRecord'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly open: Pick<OpenChanges, 'has'>;
  /** Whether this node, as the owner, knows every acknowledged record of the arc that `key` lies in. */
  readonly maySpeakFor: (key: Identifier) => boolean;
}

interface Upload {
  readonly name: string;
  readonly uploadId: string;
}

const PARALLEL_NAMES = 8;
const CALL_TIMEOUT_MS = 2_000;
/** Names whose newest version is known to be on a quorum. Lowered: its replicas are asked again in each collection. */
const MAX_SETTLED = 10_000;

/** The owner's word on whose content may still be needed. What cannot be established keeps it. */
export class Liveness {
  readonly #options: LivenessOptions;
  /** Name -> upload of its newest version, once a quorum was seen to have it. */
  readonly #settled = new BoundedMap<string, string>(MAX_SETTLED);

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /**
   * Whether each upload is, or may yet become, the content of its name.
   * @throws ChordfsError `NOT_OWNER`, `NODE_NOT_READY`: only an owner in good standing may say that content is dead.
   */
  async areLive(uploads: readonly Upload[], signal: AbortSignal): Promise<boolean[]> {
    const slots = new Slots(PARALLEL_NAMES);
    const silent = new Set<string>();
    return await Promise.all(
      uploads.map((upload) => slots.run(signal, () => this.#isLive(upload, { silent, signal }))),
    );
  }

  async #isLive(
    { name, uploadId }: Upload,
    asking: { readonly silent: Set<string>; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const { ring, store, open, maySpeakFor } = this.#options;
    const key = hashName(name);
    if (!ring.owns(key)) throw new ChordfsError('NOT_OWNER', { key });
    if (!maySpeakFor(key)) throw new ChordfsError('NODE_NOT_READY', { key });
    const held = readRecord(store, name);
    if (held === 'damaged' || held?.uploadId === uploadId || open.has(name, uploadId)) return true;
    // A version that this node adopted from a single replica may be lost with the two of them; the one before it,
    // which was acknowledged, is what is left then.
    return held !== undefined && !(await this.#isSettled(held, asking));
  }

  /** Whether a quorum of the replicas has this version or a newer one. */
  async #isSettled(
    { name, version, uploadId }: FileRecord,
    { silent, signal }: { readonly silent: Set<string>; readonly signal: AbortSignal },
  ): Promise<boolean> {
    if (this.#settled.get(name) === uploadId) return true;
    const { calls, placement } = this.#options;
    const replicas = placement.of(hashName(name));
    const request = { name, role: 'replica' as const, inlineLimitBytes: 0 };
    const outcomes = new Map<string, 'durable' | 'failed'>();
    await Promise.all(
      replicas.writeSet.map(async (member) => {
        const { instanceId } = member;
        outcomes.set(instanceId, 'failed');
        if (silent.has(instanceId)) return;
        try {
          const { reply } = await calls.call(member, 'read-record', request, {
            signal,
            timeoutMs: CALL_TIMEOUT_MS,
          });
          const has = reply.record !== undefined && compareVersions(reply.record.version, version) >= 0;
          if (has) outcomes.set(instanceId, 'durable');
        } catch (error) {
          if (!(error instanceof ChordfsError)) throw error;
          silent.add(instanceId);
        }
      }),
    );
    if (writeVerdict(replicas, outcomes) !== 'acknowledge') return false;
    this.#settled.set(name, uploadId);
    return true;
  }
}
