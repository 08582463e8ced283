import type { Identifier } from '../../domain/identifier.ts';
import { replicasOf } from '../../domain/replica-placement.ts';
import type { Ring, RingSnapshot } from '../ring/ring.ts';

export type Replicas = ReturnType<typeof replicasOf>;

/**
 * `replicasOf` for the ring as it is now, remembered per arc: between two neighbouring members every key has the same
 * replicas, so after the first request to an arc placement costs one binary search.
 */
export class Placement {
  readonly #ring: Pick<Ring, 'snapshot'>;
  #members: RingSnapshot['members'] = [];
  #positions: Identifier[] = [];
  #remembered = new Map<Identifier, Replicas>();

  constructor(ring: Pick<Ring, 'snapshot'>) {
    this.#ring = ring;
  }

  of(key: Identifier): Replicas {
    const { members } = this.#ring.snapshot();
    if (members !== this.#members) {
      this.#members = members;
      this.#positions = members.map(({ id }) => id);
      this.#remembered = new Map();
    }
    const end = firstAtOrAfter(this.#positions, key) ?? this.#positions[0] ?? key;
    const known = this.#remembered.get(end);
    if (known !== undefined) return known;
    const replicas = replicasOf(end, members);
    this.#remembered.set(end, replicas);
    return replicas;
  }
}

function firstAtOrAfter(ascending: readonly Identifier[], key: Identifier): Identifier | undefined {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? key) < key) low = middle + 1;
    else high = middle;
  }
  return ascending[low];
}
