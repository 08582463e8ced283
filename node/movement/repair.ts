import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import { pause } from '../deadline.ts';
import type { PeerCalls } from '../files/peer-calls.ts';
import type { Placement } from '../files/placement.ts';
import type { ChunkInfo, Store } from '../store/store.ts';
import { costOfChunk } from './batches.ts';
import type { Transfer } from './transfer.ts';

export interface RepairOptions {
  readonly store: Store;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly transfer: Transfer;
  readonly signal: AbortSignal;
  /** Something is damaged that no replica could replace yet. */
  readonly onUnrepaired: (error: unknown) => void;
}

const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 5_000;
/** After so many rounds the periodic comparison takes over: the item may have become garbage meanwhile. */
const MAX_ROUNDS = 12;
const CALL_TIMEOUT_MS = 5_000;

/** Replaces copies that failed their checksum by verified ones from other replicas, at once. */
export class Repair {
  readonly #options: RepairOptions;
  readonly #running = new Set<string>();

  constructor(options: RepairOptions) {
    this.#options = options;
    options.store.onCorrupt((info) =>
      this.#start(`${info.uploadId} ${info.index}`, () => this.#repairChunk(info)),
    );
    options.store.onCorruptRecord((name) => this.#start(name, () => this.#repairRecord(name)));
  }

  get openCount(): number {
    return this.#running.size;
  }

  #start(id: string, attempt: () => Promise<boolean>): void {
    if (this.#running.has(id) || this.#options.signal.aborted) return;
    this.#running.add(id);
    void this.#rounds(attempt)
      .catch((error: unknown) => {
        if (!this.#options.signal.aborted) this.#options.onUnrepaired(error);
      })
      .finally(() => this.#running.delete(id));
  }

  async #rounds(attempt: () => Promise<boolean>): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (await attempt()) return;
      await pause(retryMs, this.#options.signal);
      retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
    }
    throw new ChordfsError('CORRUPT', { rounds: MAX_ROUNDS });
  }

  async #repairChunk(info: ChunkInfo): Promise<boolean> {
    const { placement, transfer, calls, signal } = this.#options;
    for (const member of placement.of(info.key).writeSet) {
      if (calls.isSelf(member)) continue;
      const route = { member, urgency: 'urgent' as const, signal };
      const batch = { items: [info], costBytes: costOfChunk(info) };
      const [arrived] = await transfer.pullChunks(batch, route).catch(noneIfOperating);
      if (arrived === true) return true;
    }
    return false;
  }

  /** The newest version that any other replica has; all of them are asked, for one alone may be behind. */
  async #repairRecord(name: string): Promise<boolean> {
    const { placement, calls, store, signal } = this.#options;
    const others = placement.of(hashName(name)).current.filter((member) => !calls.isSelf(member));
    const request = { name, role: 'replica' as const, inlineLimitBytes: 0 };
    const answers = await Promise.all(
      others.map(async (member): Promise<FileRecord | undefined | 'silent'> => {
        const options = { signal, timeoutMs: CALL_TIMEOUT_MS };
        const answer = await calls.call(member, 'read-record', request, options).catch(silentIfOperating);
        return answer === 'silent' ? 'silent' : answer.reply.record;
      }),
    );
    const held = answers.filter(
      (answer): answer is FileRecord => answer !== undefined && answer !== 'silent',
    );
    const newest = held.sort((a, b) => compareVersions(a.version, b.version)).at(-1);
    if (newest === undefined) return false;
    await store.putRecord(newest);
    return !answers.includes('silent');
  }
}

function noneIfOperating(error: unknown): boolean[] {
  if (error instanceof ChordfsError) return [];
  throw error;
}

function silentIfOperating(error: unknown): 'silent' {
  if (error instanceof ChordfsError) return 'silent';
  throw error;
}
