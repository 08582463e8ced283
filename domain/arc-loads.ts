import type { ByteMap, WeightedArc } from './byte-map.ts';
import { REPLICA_COUNT } from './file-record.ts';
import { clockwiseDistance, type Identifier, RING_SIZE } from './identifier.ts';

/** A member with a place, as placement and scaling see it. */
export interface PlacementMember extends WeightedArc {
  /** 0: unknown; taken as the median of those that are known. */
  readonly capacityBytes: number;
  /** '' where there is only one, or it is unknown. */
  readonly availabilityZone?: string;
}

export interface Arc {
  readonly index: number;
  readonly from: Identifier;
  readonly to: Identifier;
  /** Identifiers in the arc; RING_SIZE when one member owns all. */
  readonly width: number;
  readonly bytes: number;
}

/** What the fullest member would store, relative to capacity, and how uneven the rest would be. */
export interface LoadAfter {
  readonly mostStored: number;
  readonly sumOfSquares: number;
}

/** The members' arcs in ring order; arc i belongs to the i-th member by id. */
export function arcsOf(members: readonly PlacementMember[], map: ByteMap): Arc[] {
  const ids = members.map(({ id }) => id).sort((a, b) => a - b);
  return ids.map((to, index) => {
    const from = ids[(index + ids.length - 1) % ids.length] ?? to;
    return { index, from, to, width: clockwiseDistance(from, to) || RING_SIZE, bytes: map.bytesIn(from, to) };
  });
}

export function medianCapacity(members: readonly PlacementMember[]): number {
  const known = members.map(({ capacityBytes }) => capacityBytes).filter((bytes) => bytes > 0);
  return known.sort((a, b) => a - b)[known.length >> 1] ?? 1;
}

/**
 * What every member stores, and what it would store with one member more or less, without recomputing those that do
 * not notice. With R copies a member stores its own arc and the R-1 before it.
 */
export class ArcLoads {
  readonly newcomerCapacity: number;
  readonly #arcBytes: readonly number[];
  readonly #capacities: readonly number[];
  readonly #ratios: readonly number[];
  /** Members in descending order of ratio, to find the fullest one that a change does not touch. */
  readonly #byRatio: readonly number[];

  constructor(arcs: readonly Arc[], members: readonly PlacementMember[], newcomerCapacity: number) {
    const byId = [...members].sort((a, b) => a.id - b.id);
    this.newcomerCapacity = newcomerCapacity;
    this.#arcBytes = arcs.map(({ bytes }) => bytes);
    this.#capacities = byId.map(({ capacityBytes }) =>
      capacityBytes > 0 ? capacityBytes : newcomerCapacity,
    );
    this.#ratios = this.#arcBytes.map((_, index) => this.stored(index) / this.#capacity(index));
    this.#byRatio = this.#ratios.map((_, index) => index).sort((a, b) => this.ratio(b) - this.ratio(a));
  }

  get memberCount(): number {
    return this.#arcBytes.length;
  }

  /** Bytes that the `index`-th member by id stores. */
  stored(index: number): number {
    return this.#window(index, REPLICA_COUNT);
  }

  /** The same, relative to its capacity. */
  ratio(index: number): number {
    return at(this.#ratios, index);
  }

  /** Index of the fullest member. */
  fullest(): number {
    return this.#byRatio[0] ?? 0;
  }

  #capacity(index: number): number {
    return at(this.#capacities, index) || 1;
  }

  /** Bytes of `count` arcs ending with that of member `index`. */
  #window(index: number, count: number): number {
    let sum = 0;
    for (let back = 0; back < Math.min(count, this.memberCount); back++)
      sum += at(this.#arcBytes, index - back);
    return sum;
  }

  /** The bytes a newcomer in this arc should take: where its load meets that of the last member it relieves. */
  bestShare(arc: Arc): number {
    if (this.memberCount < REPLICA_COUNT) return arc.bytes / 2;
    const last = arc.index + REPLICA_COUNT - 1;
    const before = this.#window(arc.index - 1, REPLICA_COUNT - 1);
    const lastCapacity = this.#capacity(last);
    const meeting =
      (this.newcomerCapacity * this.stored(last) - lastCapacity * before) /
      (this.newcomerCapacity + lastCapacity);
    return Math.min(arc.bytes, Math.max(0, meeting));
  }

  /** Loads with a newcomer that takes the first `share` bytes of the arc. */
  withNewcomer(arc: Arc, share: number): LoadAfter {
    const count = this.memberCount;
    const after = new Map<number, number>();
    // In a ring that stays below R members everybody goes on storing everything.
    const isEverywhere = count + 1 <= REPLICA_COUNT;
    for (let step = 0; step < Math.min(REPLICA_COUNT, count); step++) {
      // Member S+step keeps a window of R arcs, one of them now cut in two by the newcomer.
      const index = arc.index + step;
      const kept =
        step === REPLICA_COUNT - 1 ? this.stored(index) - share : this.#window(index, REPLICA_COUNT - 1);
      after.set(index % count, (isEverywhere ? this.#window(0, count) : kept) / this.#capacity(index));
    }
    const own = isEverywhere
      ? this.#window(0, count)
      : share + this.#window(arc.index - 1, REPLICA_COUNT - 1);
    return this.#combine(after, [own / this.newcomerCapacity]);
  }

  /** Loads without the `index`-th member: its successor takes its arc over, and so on R-1 members further. */
  without(index: number): LoadAfter {
    const count = this.memberCount;
    const after = new Map<number, number>([[index, 0]]);
    for (let step = 1; step <= Math.min(REPLICA_COUNT, count - 1); step++) {
      const stored = this.#window(index + step, Math.min(REPLICA_COUNT + 1, count));
      after.set((index + step) % count, stored / this.#capacity(index + step));
    }
    return this.#combine(after, []);
  }

  #combine(after: ReadonlyMap<number, number>, added: readonly number[]): LoadAfter {
    const untouched = this.#byRatio.find((index) => !after.has(index));
    const mostStored = Math.max(
      ...added,
      ...after.values(),
      untouched === undefined ? 0 : this.ratio(untouched),
    );
    let sumOfSquares = added.reduce((sum, ratio) => sum + ratio ** 2, 0);
    for (const [index, ratio] of after) sumOfSquares += ratio ** 2 - this.ratio(index) ** 2;
    return { mostStored, sumOfSquares };
  }
}

function at(values: readonly number[], index: number): number {
  const { length } = values;
  return values[((index % length) + length) % length] ?? 0;
}
