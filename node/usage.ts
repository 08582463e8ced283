import { clockwiseDistance, type Identifier, identifier, RING_SIZE } from '../domain/identifier.ts';
import { type ArcWeight, MAX_ARC_WEIGHTS, type NodeMovement, type NodeUsage } from '../domain/node-usage.ts';
import type { MovementProgress } from './movement/progress.ts';
import type { RingSnapshot } from './ring/ring.ts';
import type { Arc, Store } from './store/store.ts';

/** What people are told of it with each heartbeat; nothing while nothing has to move. */
export function movementReport(progress: MovementProgress): NodeMovement | undefined {
  const { state, bytesLeft, bytesPerSecond, etaMs } = progress;
  return state === 'idle' && bytesLeft === 0 ? undefined : { state, bytesLeft, bytesPerSecond, etaMs };
}

type Measured = Pick<Store, 'usage' | 'digestRecords' | 'digestChunks'>;

/** What the control plane is told with each heartbeat: how full this node is, and where on the ring its bytes lie. */
export function measureUsage(store: Measured, snapshot: RingSnapshot): NodeUsage {
  const { usedBytes, capacityBytes } = store.usage();
  const serving = snapshot.members.filter(({ phase }) => phase === 'active' || phase === 'draining');
  const at = serving.findIndex(({ instanceId }) => instanceId === snapshot.self.instanceId);
  const self = serving[at];
  if (self === undefined) {
    const nothing = { predecessorId: undefined, successorId: undefined, fileCount: 0, arcWeights: [] };
    return { usedBytes, capacityBytes, ...nothing };
  }
  const predecessorId = serving.at(at - 1)?.id ?? self.id;
  const successorId = serving[(at + 1) % serving.length]?.id ?? self.id;
  const arc = { from: predecessorId, to: self.id };
  return {
    usedBytes,
    capacityBytes,
    fileCount: store.digestRecords(arc).count,
    predecessorId,
    successorId,
    arcWeights: weighArc(store, arc),
  };
}

interface Piece extends Arc {
  readonly bytes: number;
}

/** Halves the heaviest piece again and again, so that the resolution is where the bytes are. */
function weighArc(store: Measured, arc: Arc): readonly ArcWeight[] {
  const pieces: Piece[] = [{ ...arc, bytes: store.digestChunks(arc).sizeBytes }];
  while (pieces.length < MAX_ARC_WEIGHTS) {
    const heaviest = pieces.reduce(
      (best, piece, i) => (piece.bytes > (pieces[best]?.bytes ?? 0) ? i : best),
      0,
    );
    const piece = pieces[heaviest];
    const middle = piece === undefined ? undefined : middleOf(piece);
    if (piece === undefined || piece.bytes === 0 || middle === undefined) break;
    const first = { from: piece.from, to: middle };
    const bytes = store.digestChunks(first).sizeBytes;
    pieces.splice(
      heaviest,
      1,
      { ...first, bytes },
      { from: middle, to: piece.to, bytes: piece.bytes - bytes },
    );
  }
  return pieces.map(({ to, bytes }) => ({ upTo: to, bytes }));
}

function middleOf({ from, to }: Arc): Identifier | undefined {
  const width = from === to ? RING_SIZE : clockwiseDistance(from, to);
  return width < 2 ? undefined : identifier(from + Math.floor(width / 2));
}
