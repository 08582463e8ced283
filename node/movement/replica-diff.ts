import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { PeerCalls } from '../files/peer-calls.ts';
import type { Arc, ChunkInfo, Store } from '../store/store.ts';
import { splitArc } from './arcs.ts';
import { callPatiently } from './patient-calls.ts';

/**
 * What two members hold differently in an arc. Digests first; where they differ the arc is split and the halves are
 * asked for again, so that one missing file among a million costs a few small messages, and only short stretches are
 * ever listed.
 */

export interface DiffOptions {
  readonly store: Store;
  readonly calls: PeerCalls;
  readonly member: RingMember;
  readonly arc: Arc;
  readonly signal: AbortSignal;
}

export interface Difference<T> {
  /** The other one has it, or a newer version of it. */
  readonly lackingHere: readonly T[];
  /** This node has it, or a newer version of it. */
  readonly lackingThere: readonly T[];
}

/** Above it an arc is split rather than listed. */
const LISTED_ITEMS = 400;
const SPLIT_INTO = 16;
/** Digests per request. */
const DIGEST_BATCH = 256;
const CALL_TIMEOUT_MS = 10_000;

/** Records come without their chunk lists. */
export async function* diffRecords(options: DiffOptions): AsyncGenerator<Difference<FileRecord>> {
  for await (const arc of differingArcs(options, 'records')) {
    const theirs = await listRecords(options, arc);
    yield compareLists(localRecords(options.store, arc), theirs, {
      id: ({ name }) => name,
      isNewer: (a, b) => compareVersions(a.version, b.version) > 0,
    });
  }
}

export async function* diffChunks(options: DiffOptions): AsyncGenerator<Difference<ChunkInfo>> {
  for await (const arc of differingArcs(options, 'chunks')) {
    const theirs = await listChunks(options, arc);
    yield compareLists(localChunks(options.store, arc), theirs, {
      id: ({ key, uploadId, index }) => `${key} ${uploadId} ${index}`,
      // The content of an upload never changes: two checksums for one chunk would be damage, found by reading it.
      isNewer: () => false,
    });
  }
}

function compareLists<T>(
  mine: readonly T[],
  theirs: readonly T[],
  { id, isNewer }: { readonly id: (item: T) => string; readonly isNewer: (a: T, b: T) => boolean },
): Difference<T> {
  const missing = (from: readonly T[], held: readonly T[]) => {
    const byId = new Map(held.map((item) => [id(item), item]));
    return from.filter((item) => {
      const other = byId.get(id(item));
      return other === undefined || isNewer(item, other);
    });
  };
  return { lackingHere: missing(theirs, mine), lackingThere: missing(mine, theirs) };
}

type Kind = 'records' | 'chunks';

/** Short arcs whose digests differ. */
async function* differingArcs(options: DiffOptions, kind: Kind): AsyncGenerator<Arc> {
  const { store, signal } = options;
  let pending: Arc[] = [options.arc];
  while (pending.length > 0) {
    signal.throwIfAborted();
    const batch = pending.slice(0, DIGEST_BATCH);
    pending = pending.slice(DIGEST_BATCH);
    const theirs = await digests(options, kind, batch);
    for (const [i, arc] of batch.entries()) {
      const own = kind === 'records' ? store.digestRecords(arc) : store.digestChunks(arc);
      const other = theirs[i];
      if (other === undefined || (other.hash === own.hash && other.count === own.count)) continue;
      const parts = Math.max(own.count, other.count) > LISTED_ITEMS ? splitArc(arc, SPLIT_INTO) : [arc];
      if (parts.length > 1) pending.push(...parts);
      else yield arc;
    }
  }
}

async function digests({ calls, member, signal }: DiffOptions, kind: Kind, arcs: readonly Arc[]) {
  const request = { kind, arcs: [...arcs] };
  const { reply } = await callPatiently(calls, member, 'digests', request, {
    signal,
    timeoutMs: CALL_TIMEOUT_MS,
  });
  return reply.digests;
}

async function listRecords({ calls, member, signal }: DiffOptions, arc: Arc): Promise<FileRecord[]> {
  const found: FileRecord[] = [];
  for (;;) {
    const request = { arc, after: found.at(-1)?.name, limit: 1_000, role: 'replica' as const, brief: true };
    const { reply } = await callPatiently(calls, member, 'list-records', request, {
      signal,
      timeoutMs: CALL_TIMEOUT_MS,
    });
    found.push(...reply.records);
    if (reply.isComplete || reply.records.length === 0) return found;
  }
}

async function listChunks({ calls, member, signal }: DiffOptions, arc: Arc): Promise<ChunkInfo[]> {
  const found: ChunkInfo[] = [];
  for (;;) {
    const request = { arc, after: chunkIdOf(found.at(-1)), limit: 1_000 };
    const { reply } = await callPatiently(calls, member, 'list-chunks', request, {
      signal,
      timeoutMs: CALL_TIMEOUT_MS,
    });
    found.push(...reply.chunks);
    if (reply.isComplete || reply.chunks.length === 0) return found;
  }
}

export function chunkIdOf(info: ChunkInfo | undefined) {
  return info === undefined ? undefined : { key: info.key, uploadId: info.uploadId, index: info.index };
}

export function localRecords(store: Pick<Store, 'scanRecords'>, arc: Arc): FileRecord[] {
  const found: FileRecord[] = [];
  for (;;) {
    const page = store.scanRecords(arc, { after: found.at(-1), limit: 1_000 });
    found.push(...page);
    if (page.length < 1_000) return found;
  }
}

export function localChunks(store: Pick<Store, 'scanChunks'>, arc: Arc): ChunkInfo[] {
  const found: ChunkInfo[] = [];
  for (;;) {
    const page = store.scanChunks(arc, { after: chunkIdOf(found.at(-1)), limit: 1_000 });
    found.push(...page);
    if (page.length < 1_000) return found;
  }
}
