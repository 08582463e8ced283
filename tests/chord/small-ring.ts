/** A few members in an ideal ring, used and watched, for the tests of one failure each. */
import { type Identifier, identifier } from '../../domain/identifier.ts';
import {
  ALL_CORRECTIONS,
  type ChordConfig,
  type Corrections,
  DEFAULT_CONFIG,
} from '../../node/chord/config.ts';
import { placeIdealRing } from '../simulation/ideal-ring.ts';
import { checkInvariants } from '../simulation/invariants.ts';
import { flaw } from '../simulation/oracle.ts';
import type { SimulatedNode } from '../simulation/simulated-node.ts';
import { Simulation } from '../simulation/simulation.ts';

export interface SmallRing {
  readonly simulation: Simulation;
  readonly nodes: readonly SimulatedNode[];
  /** A lookup of this finds the member with that index in the end, while it lives. */
  keyOf(index: number): Identifier;
  at(index: number): SimulatedNode;
}

export interface SmallRingOptions {
  readonly config?: Partial<ChordConfig>;
  /** Corrections taken out. Then nothing is watched: the end tells. */
  readonly without?: readonly (keyof Corrections)[];
  readonly seed?: number;
  readonly ids?: readonly Identifier[];
  /** With corrections taken out, too, every step is checked. */
  readonly isWatched?: boolean;
}

export function smallRing(count: number, options: SmallRingOptions = {}): SmallRing {
  const { without = [], seed = 5, isWatched = without.length === 0 } = options;
  const corrections = { ...ALL_CORRECTIONS };
  for (const name of without) Object.assign(corrections, { [name]: false });
  const config = { ...DEFAULT_CONFIG, ...options.config, corrections };
  const simulation = new Simulation({ seed, config, ...(isWatched ? { observe: checkInvariants } : {}) });
  const ids = options.ids ?? Array.from({ length: count }, (_, i) => identifier(1_000 + i * 2 ** 27));
  const nodes = placeIdealRing(simulation, { ids, isMaintained: true });
  simulation.runUntil(6_000);
  const at = (index: number): SimulatedNode => {
    const node = nodes[index];
    if (node === undefined) throw new RangeError(`no member ${index}`);
    return node;
  };
  return { simulation, nodes, at, keyOf: (index) => identifier(at(index).member.id - 1) };
}

/** Ms until the ring is ideal again; Infinity: not within the limit. */
export function untilIdeal(simulation: Simulation, limitMs = 120_000): number {
  const fromMs = simulation.nowMs;
  const isIdeal = simulation.runUntilTrue(() => flaw(simulation) === undefined, limitMs, 50);
  return isIdeal ? simulation.nowMs - fromMs : Number.POSITIVE_INFINITY;
}

export const NEVER = Number.POSITIVE_INFINITY;
