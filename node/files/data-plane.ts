import type { Identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Ring } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import { CHUNK_LIMITS, type ChunkLimits, ChunkReader } from './chunk-reader.ts';
import { Commits } from './commits.ts';
import { createFiles } from './create-files.ts';
import type { Files } from './files.ts';
import { Liveness } from './liveness.ts';
import { OpenChanges } from './open-changes.ts';
import { OwnerCalls } from './owner-calls.ts';
import { PeerCalls, type PeerHandlers } from './peer-calls.ts';
import { peerService } from './peer-service.ts';
import type { Peers } from './peers.ts';
import { Placement } from './placement.ts';
import { READ_LIMITS, type ReadLimits, RecordReader } from './record-reader.ts';
import { Replicator } from './replicator.ts';
import { SmallFileCache } from './small-file-cache.ts';
import { Tenure } from './tenure.ts';
import { UPLOAD_LIMITS, type UploadLimits, Uploads } from './uploads.ts';
import { WriteTracker } from './write-tracker.ts';

/** What files need from movement, which in turn is built on what they share. */
export interface MovementHooks {
  /** Whether this node counts as a replica of the arc that `key` lies in: it has been compared with all the others. */
  readonly isSynced: (key: Identifier) => boolean;
  /**
   * Whether it has been compared with them since it became the owner. A quorum is enough to be told the truth by
   * several, but an owner answers alone: it must not miss a write that went ahead without it before.
   */
  readonly maySpeakFor: (key: Identifier) => boolean;
  /** A write went ahead without this replica. */
  readonly missed: (member: RingMember) => void;
  /** Another member says that this node missed a write. */
  readonly nudged: () => void;
  /** A record of this name was stored here. */
  readonly recordStored: (name: string) => void;
}

export interface DataPlaneOptions {
  readonly ring: Ring;
  readonly store: Store;
  readonly peers: Peers;
  readonly movement: MovementHooks;
  /** Verified content of small files kept in memory. Raised: fewer reads from disk. */
  readonly cacheBytes?: number;
  readonly readLimits?: Partial<ReadLimits>;
  readonly chunkLimits?: Partial<ChunkLimits>;
  readonly uploadLimits?: Partial<UploadLimits>;
}

export interface DataPlane {
  readonly files: Files;
  /** For `peerRoutes`. */
  readonly handlers: PeerHandlers;
  readonly calls: PeerCalls;
  readonly placement: Placement;
  readonly tenure: Tenure;
  readonly tracker: WriteTracker;
  readonly chunks: ChunkReader;
  readonly owners: OwnerCalls;
}

const CACHE_BYTES = 16 * 1024 * 1024;

/** Builds the files of one node. Starts nothing: all work is done on behalf of a call. */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { ring, store, peers, movement } = options;
  const { isSynced, maySpeakFor } = movement;
  const tracker = new WriteTracker();
  const placement = new Placement(ring);
  const cache = new SmallFileCache(options.cacheBytes ?? CACHE_BYTES);
  let handlers: PeerHandlers | undefined;
  const calls = new PeerCalls({
    ring,
    peers,
    local: () => {
      if (handlers === undefined) throw new Error('a call before the data plane is complete');
      return handlers;
    },
  });
  const now = () => performance.now();
  const replicator = new Replicator({ ring, tracker, onMissed: movement.missed, now });
  const tenure = new Tenure({ ring, store, calls, placement });
  const open = new OpenChanges();
  const liveness = new Liveness({ ring, store, calls, placement, open, maySpeakFor });
  const commits = new Commits({
    ring,
    open,
    store,
    calls,
    placement,
    replicator,
    tenure,
    maySpeakFor,
    wallClock: Date.now,
  });
  handlers = peerService({
    ring,
    store,
    commits,
    liveness,
    tenure,
    tracker,
    cache,
    isSynced,
    maySpeakFor,
    onNudge: movement.nudged,
    onRecord: movement.recordStored,
  });

  const readLimits = { ...READ_LIMITS, ...options.readLimits };
  const records = new RecordReader({ ring, store, calls, placement, cache, maySpeakFor, limits: readLimits });
  const chunkLimits = { ...CHUNK_LIMITS, ...options.chunkLimits };
  const chunks = new ChunkReader({ ring, store, calls, placement, limits: chunkLimits });
  const owners = new OwnerCalls({ ring, calls, placement, random: Math.random });
  const limits = { ...UPLOAD_LIMITS, ...options.uploadLimits };
  const uploads = new Uploads({
    ring,
    calls,
    owners,
    placement,
    replicator,
    records,
    chunks,
    tracker,
    limits,
  });
  const files = createFiles({
    ring,
    store,
    calls,
    owners,
    placement,
    records,
    chunks,
    uploads,
    cache,
    tracker,
  });
  return { files, handlers, calls, placement, tenure, tracker, chunks, owners };
}
