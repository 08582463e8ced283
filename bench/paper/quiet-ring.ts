import { type Identifier, identifier, inOpenArc } from '../../domain/identifier.ts';
import type { ChordConfig } from '../../node/chord/config.ts';
import { placeIdealRing } from '../../tests/simulation/ideal-ring.ts';
import { Dice } from '../../tests/simulation/random.ts';
import type { SimulatedNode } from '../../tests/simulation/simulated-node.ts';
import { Simulation } from '../../tests/simulation/simulation.ts';
import type { Observation } from '../../tests/simulation/simulation-options.ts';

/** Members asked for one key. */
export interface Route {
  /** That were alive, the owner included. */
  readonly contacts: number;
  /** That were dead and stand before the key. */
  readonly timeouts: number;
  /** That were dead and would have owned the key. */
  readonly deadOwners: number;
  readonly hasReachedOwner: boolean;
}

/** No route is longer: a lookup that fails this often is one that fails. */
const MAX_EVENTS_PER_LOOKUP = 2_000;

/**
 * A ring in which nothing is maintained: the paper's setting for path lengths and for simultaneous failures ("stable,
 * stabilization stopped, dead fingers not removed"). Every lookup is the core's own; after each one all members
 * forget what they learned by it, so that none profits from another.
 *
 * A lookup counts as answered, as in the paper, when it reaches the key's current successor: the first live member
 * at or after it.
 */
export class QuietRing {
  readonly #simulation: Simulation;
  readonly #dice: Dice;
  readonly #nodes: readonly SimulatedNode[];
  readonly #states = new Map<SimulatedNode, SimulatedNode['state']>();
  readonly #touched = new Set<SimulatedNode>();
  #alive: readonly SimulatedNode[];
  #owner: SimulatedNode | undefined;
  #contacts = 0;
  #timeouts = 0;
  #deadOwners = 0;
  #hasReachedOwner = false;
  #key = identifier(0);

  constructor(options: {
    readonly memberCount: number;
    readonly seed: number;
    readonly config: ChordConfig;
    /** So many of the members came in since the fingers were looked up. */
    readonly newcomerCount?: number;
  }) {
    const { memberCount, seed, config, newcomerCount = 0 } = options;
    this.#simulation = new Simulation({ seed, config, observe: (_, step) => this.#observe(step) });
    this.#dice = new Dice(seed ^ 0x5bd1e995);
    const ids = new Set<Identifier>();
    while (ids.size < memberCount) ids.add(this.#randomKey());
    this.#nodes = placeIdealRing(this.#simulation, {
      ids: [...ids],
      isMaintained: false,
      newcomers: new Set([...ids].slice(0, newcomerCount)),
    });
    for (const node of this.#nodes) this.#states.set(node, node.state);
    this.#alive = this.#nodes;
  }

  /** Each member dies with that probability, at once. */
  kill(probability: number): void {
    for (const node of this.#nodes) node.isUp = !this.#dice.chance(probability);
    this.#alive = this.#nodes.filter(({ isUp }) => isUp);
  }

  /** One lookup of a random key by a random live member that is not its owner. */
  lookUp(): Route {
    let by: SimulatedNode | undefined;
    do {
      by = this.#dice.pick(this.#alive);
      this.#key = this.#randomKey();
      this.#owner = this.#ownerOf(this.#key);
    } while (by === undefined || by === this.#owner);
    this.#contacts = 0;
    this.#timeouts = 0;
    this.#deadOwners = 0;
    this.#hasReachedOwner = false;
    const lookupId = this.#simulation.lookup(by, this.#key);
    for (let i = 0; i < MAX_EVENTS_PER_LOOKUP; i++) {
      if (this.#hasReachedOwner || this.#simulation.lookups.has(lookupId)) break;
      if (!this.#simulation.queue.runNext()) break;
    }
    const route = {
      contacts: this.#contacts,
      timeouts: this.#timeouts,
      deadOwners: this.#deadOwners,
      hasReachedOwner: this.#hasReachedOwner,
    };
    this.#forget();
    return route;
  }

  #randomKey(): Identifier {
    return identifier(this.#dice.integer(0, 2 ** 32));
  }

  #ownerOf(key: Identifier): SimulatedNode | undefined {
    let low = 0;
    let high = this.#alive.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#alive[middle]?.member.id ?? 0) < key) low = middle + 1;
      else high = middle;
    }
    return this.#alive[low % this.#alive.length];
  }

  #observe({ node, event, before }: Observation): void {
    this.#touched.add(node);
    if (this.#hasReachedOwner) return;
    if (event.kind === 'received' && event.request.kind === 'lookup') {
      this.#contacts += 1;
      this.#hasReachedOwner = node === this.#owner;
    }
    const failed = event.kind === 'failed' ? before.calls.get(event.callId) : undefined;
    if (failed?.purpose.kind !== 'lookup' || this.#owner === undefined) return;
    const { id } = failed.to;
    const isAfterKey = id === this.#key || inOpenArc(id, this.#key, this.#owner.member.id);
    if (isAfterKey) this.#deadOwners += 1;
    else this.#timeouts += 1;
  }

  #forget(): void {
    for (const node of this.#touched) {
      node.state = this.#states.get(node) ?? node.state;
      // What is still on its way was meant for a life that is over.
      node.life += 1;
      node.wakePlannedMs = Number.POSITIVE_INFINITY;
    }
    this.#touched.clear();
    this.#simulation.lookups.clear();
    this.#simulation.confirmations.clear();
  }
}
