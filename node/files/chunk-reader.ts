import { ChordfsError } from '../../domain/errors.ts';
import { CHUNK_SIZE_BYTES, type ChunkRef, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { orAborted, pause, withDeadline } from '../deadline.ts';
import type { Ring } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import { matchesChecksum } from './chunk-checksum.ts';
import type { Reader } from './files.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement } from './placement.ts';
import { type TransferLimits, TransferTurns, type Turn } from './transfer-turns.ts';

export interface ChunkReaderOptions {
  readonly ring: Pick<Ring, 'snapshot'>;
  readonly store: Pick<Store, 'readChunk' | 'getChunk'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly limits: ChunkLimits;
}

export interface ChunkLimits {
  /** Chunks that clients are being sent, 4 MiB each. Raised: memory. Lowered: downloads take turns sooner. */
  readonly turns: TransferLimits;
  /** Chunks fetched ahead of the one being sent, over all downloads; none while others wait. */
  readonly readAheadCount: number;
  /** A replica that is silent for so long is raced against the next one. */
  readonly hedgeMs: number;
  /** For one chunk from one replica. */
  readonly attemptMs: number;
  /** For one chunk from anybody. */
  readonly deadlineMs: number;
}

export const CHUNK_LIMITS: ChunkLimits = {
  turns: {
    ...{ atOnce: 16, perCaller: 12, waiting: 1_000 },
    ...{ patienceMs: 20_000, leastBytes: 256 * 1024, windowMs: 9_000 },
  },
  readAheadCount: 5,
  hedgeMs: 400,
  attemptMs: 6_000,
  deadlineMs: 20_000,
};

/** Members beyond the rightful replicas that are asked for a chunk on the move; in a large ring not all of them. */
const MAX_STRAY_CANDIDATES = 8;
const RETRY_MS = 100;
/** What a client is given at once, so that it shows whether it keeps up. Raised: slow lines look as if they stood still. */
const PIECE_BYTES = 256 * 1024;
/** A download under way is not ended for a short rush: its client would have to begin again. */
const LATER_PATIENCE_MS = 100_000;
/** Kept for the next download, 4 MiB each. Fresh memory has to be cleared by the kernel, which costs as much as reading. */
const SPARE_BUFFERS = 6;

/** Why what was fetched ahead is given up; never seen by a caller. */
const READER_DONE = new Error('the reader is done');

/** What is read: a record, or an upload that has none yet. */
type Source = Pick<FileRecord, 'name' | 'uploadId' | 'sizeBytes' | 'chunks'>;

/** What this node has read on behalf of its clients since it started, in whole chunks. */
export interface ChunkReads {
  readonly fromDisk: number;
  readonly fromPeers: number;
}

/** Streams verified bytes of a file from whichever replicas have them. */
export class ChunkReader {
  readonly #options: ChunkReaderOptions;
  readonly #turns: TransferTurns;
  readonly #spare: Uint8Array[] = [];
  #aheadCount = 0;
  #fromDisk = 0;
  #fromPeers = 0;

  constructor(options: ChunkReaderOptions) {
    this.#options = options;
    this.#turns = new TransferTurns(options.limits.turns);
  }

  counters(): ChunkReads {
    return { fromDisk: this.#fromDisk, fromPeers: this.#fromPeers };
  }

  /**
   * Bytes [start, end) of the file, touching only the chunks that hold them. While others wait, a turn is given up between
   * chunks, so that any number of downloads go on side by side. A chunk is held until the piece after its last is asked
   * for.
   */
  async *read(
    source: Source,
    { start, end, ...reader }: ReadRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const parts = partsOf(source, start, end);
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener('abort', abort, { once: true });
    let turn: Turn | undefined;
    let held: Fetch | undefined;
    let ahead: Fetch | undefined;
    const fetch = (part: ChunkPart) => this.#fetchFor({ source, part, reader }, controller.signal);
    const take = (isFirst: boolean) =>
      this.#turns.take({
        ...{ caller: reader.caller ?? '', signal },
        ...(isFirst ? {} : { patienceMs: LATER_PATIENCE_MS }),
      });
    try {
      for (const [i, part] of parts.entries()) {
        turn ??= await take(i === 0);
        held = ahead ?? fetch(part);
        if (ahead !== undefined) this.#aheadCount--;
        const following = parts[i + 1];
        ahead = following !== undefined && this.#mayReadAhead() ? fetch(following) : undefined;
        if (ahead !== undefined) this.#aheadCount++;
        const bytes = await held.bytes;
        if (reader.onTooSlow !== undefined) turn.waitForClient(reader.onTooSlow);
        for (let at = part.from; at < part.to; at += PIECE_BYTES) {
          const piece = bytes.subarray(at, Math.min(at + PIECE_BYTES, part.to));
          yield piece;
          turn.moved(piece.byteLength);
        }
        turn.clientIsDone();
        // Only a reader that came back for more is surely done with the memory.
        this.#giveBack(held.memory);
        held = undefined;
        if (ahead === undefined && this.#turns.isCrowded) {
          turn.end();
          turn = undefined;
        }
      }
    } finally {
      // Reached also when the client goes away in the middle: what was fetched ahead is for nobody then.
      signal.removeEventListener('abort', abort);
      controller.abort(READER_DONE);
      if (ahead !== undefined) this.#aheadCount--;
      turn?.clientIsDone();
      // What is still being read is in memory until then.
      void Promise.allSettled([held?.bytes, ahead?.bytes]).then(() => turn?.end());
    }
  }

  #giveBack(memory: Uint8Array | undefined): void {
    if (memory !== undefined && this.#spare.length < SPARE_BUFFERS) this.#spare.push(memory);
  }

  #mayReadAhead(): boolean {
    return this.#aheadCount < this.#options.limits.readAheadCount && !this.#turns.isCrowded;
  }

  #fetchFor(
    { source, part, reader }: { readonly source: Source; readonly part: ChunkPart; readonly reader: Reader },
    signal: AbortSignal,
  ): Fetch {
    const isLent = reader.reusesMemory === true && part.ref.sizeBytes > PIECE_BYTES;
    const memory = isLent ? (this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZE_BYTES)) : undefined;
    const bytes = this.chunk(source, part, signal, memory);
    // Its failure is met when its turn comes; until then it must not count as unhandled.
    bytes.catch(() => undefined);
    return { memory, bytes };
  }

  /** One whole verified chunk. @throws ChordfsError `CORRUPT`, `REPLICAS_UNAVAILABLE`; or the signal's reason. */
  async chunk(
    source: Source,
    { ref, index }: ChunkPart,
    signal: AbortSignal,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const id = { key: ref.key, uploadId: source.uploadId, index };
    // The store checks the bytes against its own checksum: comparing the checksums completes the chain.
    if (this.#options.store.getChunk(id)?.sha256 === ref.sha256) {
      const own = await this.#options.store.readChunk(id, into);
      if (own !== undefined) {
        this.#fromDisk++;
        return own;
      }
    }
    return await withDeadline({ signal, timeoutMs: this.#options.limits.deadlineMs }, async (deadline) => {
      for (;;) {
        const bytes = await this.#fetch(id, ref, deadline);
        if (bytes !== undefined) {
          this.#fromPeers++;
          return bytes;
        }
        // Everybody was asked: the ring may be changing under us, and a dead replica's neighbour taking over.
        await pause(RETRY_MS, deadline).catch(() => undefined);
        if (signal.aborted) throw signal.reason;
        if (deadline.aborted) throw new ChordfsError('REPLICAS_UNAVAILABLE', { key: ref.key, index });
      }
    });
  }

  /** Asks one replica after another, the next one early when one is slow; the first intact answer wins. */
  async #fetch(id: ChunkIdentity, ref: ChunkRef, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { limits } = this.#options;
    const waiting = this.#candidates(ref);
    const running = new Set<Promise<Uint8Array | undefined>>();
    return await withDeadline({ signal, timeoutMs: limits.deadlineMs }, async (attempt) => {
      for (;;) {
        const candidate = waiting.shift();
        if (candidate !== undefined) {
          const asked = this.#ask(candidate, { id, ref }, attempt);
          running.add(asked);
          void asked.then(() => running.delete(asked));
        }
        if (running.size === 0) return undefined;
        const hedge = waiting.length > 0 ? [pause(limits.hedgeMs, attempt).catch(() => undefined)] : [];
        const bytes = await orAborted(Promise.race([...running, ...hedge]), attempt);
        if (bytes !== undefined) return bytes;
      }
    });
  }

  /** Undefined when this replica has no intact copy or did not answer. */
  async #ask(
    member: RingMember,
    { id, ref }: { readonly id: ChunkIdentity; readonly ref: ChunkRef },
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    try {
      const timeoutMs = this.#options.limits.attemptMs;
      const { payload } = await this.#options.calls.call(
        member,
        'get-chunk',
        { chunk: id },
        { signal, timeoutMs },
      );
      return payload !== undefined && (await matchesChecksum(payload, ref)) ? payload : undefined;
    } catch (error) {
      if (error instanceof ChordfsError || signal.aborted) return undefined;
      throw error;
    }
  }

  /** Rightful replicas first, then those that may still have a copy from before a move. Never this node itself. */
  #candidates({ key }: ChunkRef): RingMember[] {
    const { members, self } = this.#options.ring.snapshot();
    const { writeSet } = this.#options.placement.of(key);
    const others = writeSet.filter(({ instanceId }) => instanceId !== self.instanceId);
    // Where the reader stands among the members decides who is asked first: spreads the load without randomness.
    const turn = others.length === 0 ? 0 : self.id % others.length;
    const rightful = [...others.slice(turn), ...others.slice(0, turn)];
    const after = members.findIndex(({ id }) => id === writeSet.at(-1)?.id) + 1;
    const strays = [...members.slice(after), ...members.slice(0, after)]
      .filter((member) => member.instanceId !== self.instanceId && !writeSet.includes(member))
      .slice(0, MAX_STRAY_CANDIDATES);
    return [...rightful, ...strays];
  }
}

export interface ReadRange extends Reader {
  readonly start: number;
  readonly end: number;
}

/** A chunk that was asked for. */
interface Fetch {
  readonly memory: Uint8Array | undefined;
  readonly bytes: Promise<Uint8Array>;
}

interface ChunkIdentity {
  readonly key: ChunkRef['key'];
  readonly uploadId: string;
  readonly index: number;
}

export interface ChunkPart {
  readonly ref: ChunkRef;
  readonly index: number;
  /** Bytes [from, to) of the chunk are wanted. */
  readonly from: number;
  readonly to: number;
}

/** The chunks that [start, end) of the file touches, and which bytes of each. */
export function partsOf(source: Pick<Source, 'chunks'>, start: number, end: number): ChunkPart[] {
  const parts: ChunkPart[] = [];
  let offset = 0;
  for (const [index, ref] of source.chunks.entries()) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, ref.sizeBytes);
    if (from < to) parts.push({ ref, index, from, to });
    offset += ref.sizeBytes;
  }
  return parts;
}
