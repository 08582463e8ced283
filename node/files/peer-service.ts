import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import type { FileRecord } from '../../domain/file-record.ts';
import { type Identifier, identifier } from '../../domain/identifier.ts';
import { pause, withDeadline } from '../deadline.ts';
import type { Ring } from '../ring/ring.ts';
import type { Arc, ChunkInfo, Store } from '../store/store.ts';
import { readChunksAtOnce, readRecordsAtOnce } from './bulk-reads.ts';
import type { Commits } from './commits.ts';
import type { Liveness } from './liveness.ts';
import type { PeerHandlers } from './peer-calls.ts';
import type { RequestOf } from './peer-operations.ts';
import { readRecord } from './record-reader.ts';
import type { SmallFileCache } from './small-file-cache.ts';
import type { Tenure } from './tenure.ts';
import type { WriteTracker } from './write-tracker.ts';

export interface PeerServiceOptions {
  readonly ring: Pick<Ring, 'owns' | 'snapshot'>;
  readonly store: Store;
  readonly commits: Commits;
  readonly liveness: Liveness;
  readonly tenure: Tenure;
  readonly tracker: WriteTracker;
  readonly cache: SmallFileCache;
  readonly isSynced: (key: Identifier) => boolean;
  readonly maySpeakFor: (key: Identifier) => boolean;
  readonly onNudge: () => void;
  /** A record of this name was stored here, whichever version is the newest now. */
  readonly onRecord: (name: string) => void;
}

const POLL_MS = 20;

/** What this node does for other members, and for itself: one handler for each operation. */
export function peerService(options: PeerServiceOptions): PeerHandlers {
  return { ...dataHandlers(options), ...movementHandlers(options) };
}

type DataOperation =
  | 'put-chunk'
  | 'get-chunk'
  | 'put-record'
  | 'commit'
  | 'delete'
  | 'read-record'
  | 'list-records'
  | 'chunk-infos';

function dataHandlers(options: PeerServiceOptions): Pick<PeerHandlers, DataOperation> {
  const { store, commits } = options;
  return {
    'put-chunk': async ({ chunk }, { payload, isOwn }) => {
      await store.putChunk(chunk, payload ?? new Uint8Array(), { isChecked: isOwn });
      return { reply: {} };
    },
    'get-chunk': async ({ chunk }) => {
      const payload = await store.readChunk(chunk);
      return { reply: { found: payload !== undefined, isBusy: options.tracker.isServingClients }, payload };
    },
    'put-record': async ({ record }) => {
      const stored = await store.putRecord(record);
      options.onRecord(record.name);
      return { reply: { version: stored.version, uploadId: stored.uploadId } };
    },
    commit: async (request, { payload, signal, isOwn }) => ({
      reply: {
        record: await commits.commit(request, {
          payload: request.withChunk ? payload : undefined,
          isChecked: isOwn === true,
          signal,
        }),
      },
    }),
    delete: async (request, { signal }) => ({ reply: { existed: await commits.delete(request, signal) } }),
    'read-record': (request) => readForPeer(options, request),
    'list-records': async (request) => listForPeer(options, request),
    'chunk-infos': async ({ chunks }) => ({
      reply: {
        chunks: chunks
          .map((id) => store.getChunk(id))
          .filter((info): info is ChunkInfo => info !== undefined),
      },
    }),
  };
}

function movementHandlers(options: PeerServiceOptions): Omit<PeerHandlers, DataOperation> {
  const { store, tracker, tenure } = options;
  const isBusy = () => tracker.isServingClients;
  return {
    'read-records': async ({ wanted }) => {
      const { reply, payload } = await readRecordsAtOnce(store, wanted);
      return { reply: { ...reply, isBusy: isBusy() }, payload };
    },
    'get-chunks': async ({ chunks }) => {
      const { reply, payload } = await readChunksAtOnce(store, chunks);
      return { reply: { ...reply, isBusy: isBusy() }, payload };
    },
    'list-chunks': async ({ arc, after, limit }) => {
      const chunks = store.scanChunks(arc, { after, limit });
      return { reply: { chunks, isComplete: chunks.length < limit } };
    },
    digests: async ({ kind, arcs }) => ({
      reply: {
        digests: arcs.map((arc) => (kind === 'records' ? store.digestRecords(arc) : store.digestChunks(arc))),
      },
    }),
    'remove-chunks': async ({ chunks }) => {
      for (const id of chunks) if (!tracker.isActive(id.uploadId)) await store.removeChunk(id);
      return { reply: {} };
    },
    'remove-tombstone': async ({ name, version }) => {
      const held = readRecord(store, name);
      const isTombstone = held !== undefined && held !== 'damaged' && held.deleted;
      return { reply: { removed: isTombstone && (await store.removeRecord(name, version)) } };
    },
    'are-live': async ({ uploads }, { signal }) => ({
      reply: { live: await options.liveness.areLive(uploads, signal) },
    }),
    'are-active': async ({ uploadIds }) => ({
      reply: { active: uploadIds.map((id) => tracker.isActive(id)) },
    }),
    sees: async (request, { signal }) => ({ reply: { seen: await seesMember(options, request, signal) } }),
    nudge: async () => {
      options.onNudge();
      return { reply: {} };
    },
    tenure: async ({ proposal }) => ({ reply: { highest: await tenure.promise(proposal) } }),
  };
}

async function readForPeer(
  { ring, store, cache, tracker, isSynced, maySpeakFor }: PeerServiceOptions,
  { name, role, inlineLimitBytes }: RequestOf<'read-record'>,
) {
  const key = hashName(name);
  if (role === 'owner' && !ring.owns(key)) throw new ChordfsError('NOT_OWNER', { key });
  if (role === 'owner' && !maySpeakFor(key)) throw new ChordfsError('NODE_NOT_READY', { key });
  const held = readRecord(store, name);
  if (held === 'damaged') throw new ChordfsError('NODE_NOT_READY', { key, reason: 'damaged record' });
  const wantsContent =
    held !== undefined && !held.deleted && held.chunks.length === 1 && held.sizeBytes <= inlineLimitBytes;
  const payload = wantsContent ? await smallContent({ store, cache }, held) : undefined;
  const isBusy = tracker.isServingClients;
  const isInline = payload !== undefined;
  return { reply: { record: held, isSynced: isSynced(key), isInline, isBusy }, payload };
}

/** The content of a single-chunk file as this node has it, from memory when it was read before. */
export async function smallContent(
  { store, cache }: { readonly store: Pick<Store, 'readChunk'>; readonly cache: SmallFileCache },
  { uploadId, chunks }: FileRecord,
): Promise<Uint8Array | undefined> {
  const remembered = cache.get(uploadId);
  const [ref] = chunks;
  if (remembered !== undefined || ref === undefined) return remembered;
  const bytes = await store.readChunk({ key: ref.key, uploadId, index: 0 });
  if (bytes !== undefined) cache.put(uploadId, bytes);
  return bytes;
}

function listForPeer(
  { ring, store, isSynced, maySpeakFor }: PeerServiceOptions,
  { arc, after, limit, role, brief }: RequestOf<'list-records'>,
) {
  const ends = [identifier(arc.from + 1), arc.to];
  if (role === 'owner' && !ends.every((key) => ring.owns(key)))
    throw new ChordfsError('NOT_OWNER', { key: arc.to });
  if (role === 'owner' && !ends.every(maySpeakFor)) throw new ChordfsError('NODE_NOT_READY', { key: arc.to });
  const records = store.scanRecords(arc, {
    after: after === undefined ? undefined : placeholder(after),
    limit,
  });
  return {
    reply: {
      records: brief ? records.map((record) => ({ ...record, chunks: [] })) : records,
      isSynced: isArcSynced(arc, ring, isSynced),
      isComplete: records.length < limit,
    },
  };
}

/** Arcs between neighbouring members are synced as a whole, so one key of each stands for it. */
function isArcSynced(
  arc: Arc,
  ring: Pick<Ring, 'snapshot'>,
  isSynced: (key: Identifier) => boolean,
): boolean {
  const span = (id: Identifier) => (id - arc.from) >>> 0;
  const whole = arc.from === arc.to;
  const inside = ring
    .snapshot()
    .members.filter(({ id }) => whole || (id !== arc.from && span(id) <= span(arc.to)));
  return isSynced(arc.to) && inside.every(({ id }) => isSynced(id));
}

/** A scan continues after a name; whether its record still exists does not matter. */
function placeholder(name: string): FileRecord {
  const version = { counter: 0, nodeId: hashName(name) };
  const empty = { sizeBytes: 0, sha256: '', contentType: '', modifiedMs: 0, uploadId: '', chunks: [] };
  return { name, version, deleted: true, ...empty };
}

/** Waits for the view to show the member in the phase, then for the writes that an older view placed. */
async function seesMember(
  { ring, tracker }: PeerServiceOptions,
  { instanceId, incarnation, phase, waitMs }: RequestOf<'sees'>,
  signal: AbortSignal,
): Promise<boolean> {
  const isSeen = () =>
    ring
      .snapshot()
      .members.some(
        (member) =>
          member.instanceId === instanceId && member.incarnation >= incarnation && member.phase === phase,
      );
  try {
    return await withDeadline({ signal, timeoutMs: waitMs }, async (deadline) => {
      while (!isSeen()) await pause(POLL_MS, deadline);
      await Promise.race([tracker.writesBeforeNow(), pause(waitMs, deadline)]);
      return true;
    });
  } catch (error) {
    if (signal.aborted || !(error instanceof ChordfsError)) throw error;
    return false;
  }
}
