import { type ByteMap, byteMap, type WeightedArc } from './byte-map.ts';
import { REPLICA_COUNT } from './file-record.ts';
import { clockwiseDistance, type Identifier, identifier, RING_SIZE } from './identifier.ts';

/**
 * Where a newcomer goes: to the position that minimises the most bytes, relative to capacity, that any member will
 * store afterwards, replicas counted.
 *
 * With R copies a member stores its own arc and the R-1 before it. A newcomer X that takes x bytes of the arc of S
 * stores x and the R-1 arcs before; S and its next R-1 successors each shed one arc, of which only the last one's
 * relief (x itself) depends on where in the arc X stands. So in every arc the best x is where X's growing load meets
 * that last one's shrinking load, and trying every arc once finds the global best. Measured alternatives: hashing
 * needs about twice the members for the same bytes, bisecting the widest arc is blind to where the bytes are.
 */
export interface PlacementMember extends WeightedArc {
  readonly capacityBytes: number;
}

/** Narrower arcs are not split: 2 x 8 identifiers leave no room for a second newcomer. */
const NARROWEST_ARC = 16;
/** Below this share of all capacity the bytes are noise: space is divided instead. */
const NEGLIGIBLE_SHARE = 0.002;
/** Relative difference below which two placements count as equally good, so that rounding decides nothing. */
const EQUAL = 1e-9;

interface Arc {
  readonly index: number;
  readonly from: Identifier;
  readonly to: Identifier;
  /** Identifiers in the arc; RING_SIZE when one member owns all. */
  readonly width: number;
  readonly bytes: number;
}

interface Candidate {
  readonly position: Identifier;
  readonly mostStored: number;
  readonly sumOfSquares: number;
  readonly arc: Arc;
}

/**
 * @param options.members Everybody who has or will have a place, ids distinct; those who own nothing yet report nothing.
 * @param options.taken Further positions that are spoken for.
 * @returns undefined when no arc is wide enough to split.
 */
export function choosePosition(options: {
  readonly members: readonly PlacementMember[];
  readonly taken?: ReadonlySet<Identifier>;
  readonly newcomerCapacityBytes?: number;
}): Identifier | undefined {
  const { members, taken = new Set<Identifier>() } = options;
  const map = byteMap(members);
  const arcs = arcsOf(members, map);
  const totalCapacity = members.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0);
  const splittable = arcs.filter(({ width }) => width >= NARROWEST_ARC);
  if (members.length === 0) return firstFree(identifier(RING_SIZE / 2), identifier(RING_SIZE / 2 - 1), taken);
  if (map.totalBytes <= totalCapacity * NEGLIGIBLE_SHARE) return midpointOfWidest(splittable, taken);
  const capacity = options.newcomerCapacityBytes ?? medianCapacity(members);
  const loads = new Loads(arcs, members, capacity);
  let best: Candidate | undefined;
  for (const arc of splittable) {
    const position = bestInArc(arc, loads, map, taken);
    if (position === undefined) continue;
    const candidate = loads.evaluate(arc, position, map.bytesIn(arc.from, position));
    if (best === undefined || isBetter(candidate, best)) best = candidate;
  }
  return best?.position;
}

function arcsOf(members: readonly PlacementMember[], map: ByteMap): Arc[] {
  const ids = members.map(({ id }) => id).sort((a, b) => a - b);
  return ids.map((to, index) => {
    const from = ids[(index + ids.length - 1) % ids.length] ?? to;
    return { index, from, to, width: clockwiseDistance(from, to) || RING_SIZE, bytes: map.bytesIn(from, to) };
  });
}

function medianCapacity(members: readonly PlacementMember[]): number {
  const known = members.map(({ capacityBytes }) => capacityBytes).filter((bytes) => bytes > 0);
  return known.sort((a, b) => a - b)[known.length >> 1] ?? 1;
}

function midpointOfWidest(arcs: readonly Arc[], taken: ReadonlySet<Identifier>): Identifier | undefined {
  const widest = [...arcs].sort((a, b) => b.width - a.width || a.to - b.to);
  for (const arc of widest) {
    const free = firstFree(identifier(arc.from + Math.floor(arc.width / 2)), arc.to, taken);
    if (free !== undefined) return free;
  }
  return undefined;
}

/** The first position at or after `from` and before `end` that nobody has. */
function firstFree(
  from: Identifier,
  end: Identifier,
  taken: ReadonlySet<Identifier>,
): Identifier | undefined {
  for (let step = 0; step <= taken.size; step++) {
    const position = identifier(from + step);
    if (position === end) return undefined;
    if (!taken.has(position)) return position;
  }
  return undefined;
}

function bestInArc(
  arc: Arc,
  loads: Loads,
  map: ByteMap,
  taken: ReadonlySet<Identifier>,
): Identifier | undefined {
  const share = loads.bestShare(arc);
  // An arc without bytes is divided by width; there the exact place matters only for what comes later.
  const wanted =
    arc.bytes > 0 ? map.pointAt(arc.from, arc.to, share) : identifier(arc.from + Math.floor(arc.width / 2));
  const offset = Math.min(Math.max(clockwiseDistance(arc.from, wanted), 1), arc.width - 1);
  return firstFree(identifier(arc.from + offset), arc.to, taken);
}

/** What every member stores, before and after a newcomer, without recomputing the members that do not notice. */
class Loads {
  private readonly arcBytes: readonly number[];
  private readonly capacities: readonly number[];
  private readonly ratios: readonly number[];
  /** Members in descending order of ratio, to find the fullest one that a newcomer does not touch. */
  private readonly byRatio: readonly number[];
  private readonly newcomerCapacity: number;

  constructor(arcs: readonly Arc[], members: readonly PlacementMember[], newcomerCapacity: number) {
    const byId = [...members].sort((a, b) => a.id - b.id);
    this.newcomerCapacity = newcomerCapacity;
    this.arcBytes = arcs.map(({ bytes }) => bytes);
    this.capacities = byId.map(({ capacityBytes }) => (capacityBytes > 0 ? capacityBytes : newcomerCapacity));
    this.ratios = this.arcBytes.map((_, index) => this.stored(index) / this.capacity(index));
    this.byRatio = this.ratios.map((_, index) => index).sort((a, b) => this.ratio(b) - this.ratio(a));
  }

  private at(values: readonly number[], index: number): number {
    const { length } = values;
    return values[((index % length) + length) % length] ?? 0;
  }
  private capacity(index: number): number {
    return this.at(this.capacities, index) || 1;
  }
  private ratio(index: number): number {
    return this.at(this.ratios, index);
  }

  /** Bytes of `count` arcs ending with that of member `index`. */
  private window(index: number, count: number): number {
    let sum = 0;
    for (let back = 0; back < Math.min(count, this.arcBytes.length); back++)
      sum += this.at(this.arcBytes, index - back);
    return sum;
  }
  private stored(index: number): number {
    return this.window(index, REPLICA_COUNT);
  }

  /** The bytes a newcomer in this arc should take: where its load meets that of the last member it relieves. */
  bestShare(arc: Arc): number {
    if (this.arcBytes.length < REPLICA_COUNT) return arc.bytes / 2;
    const last = arc.index + REPLICA_COUNT - 1;
    const before = this.window(arc.index - 1, REPLICA_COUNT - 1);
    const lastCapacity = this.capacity(last);
    const meeting =
      (this.newcomerCapacity * this.stored(last) - lastCapacity * before) /
      (this.newcomerCapacity + lastCapacity);
    return Math.min(arc.bytes, Math.max(0, meeting));
  }

  evaluate(arc: Arc, position: Identifier, share: number): Candidate {
    const count = this.arcBytes.length;
    const copies = Math.min(REPLICA_COUNT, count + 1);
    const after = new Map<number, number>();
    for (let step = 0; step < Math.min(REPLICA_COUNT, count); step++) {
      // Member S+step keeps a window of `copies` arcs, one of them now cut in two by the newcomer.
      const kept = this.window(arc.index + step, Math.min(copies - 1, count));
      const isLast = step === copies - 1;
      const stored =
        count + 1 <= REPLICA_COUNT
          ? this.window(0, count)
          : isLast
            ? this.stored(arc.index + step) - share
            : kept;
      after.set((arc.index + step) % count, stored / this.capacity(arc.index + step));
    }
    const own =
      count + 1 <= REPLICA_COUNT
        ? this.window(0, count)
        : share + this.window(arc.index - 1, REPLICA_COUNT - 1);
    const newcomer = own / this.newcomerCapacity;
    const untouched = this.byRatio.find((index) => !after.has(index));
    const mostStored = Math.max(
      newcomer,
      ...after.values(),
      untouched === undefined ? 0 : this.ratio(untouched),
    );
    let sumOfSquares = newcomer ** 2;
    for (const [index, ratio] of after) sumOfSquares += ratio ** 2 - this.ratio(index) ** 2;
    return { position, mostStored, sumOfSquares, arc };
  }
}

/** Most bytes first; then evenness over all; then the heavier, the wider, the first arc: a total order. */
function isBetter(a: Candidate, b: Candidate): boolean {
  const scale = Math.max(a.mostStored, b.mostStored, Number.MIN_VALUE);
  if (Math.abs(a.mostStored - b.mostStored) > EQUAL * scale) return a.mostStored < b.mostStored;
  if (Math.abs(a.sumOfSquares - b.sumOfSquares) > EQUAL * scale * scale)
    return a.sumOfSquares < b.sumOfSquares;
  if (Math.abs(a.arc.bytes - b.arc.bytes) > EQUAL * Math.max(a.arc.bytes, 1))
    return a.arc.bytes > b.arc.bytes;
  return a.arc.width !== b.arc.width ? a.arc.width > b.arc.width : a.position < b.position;
}
