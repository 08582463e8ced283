import type { ChordConfig } from '../../node/chord/config.ts';
import type { ChordEvent } from '../../node/chord/event.ts';
import type { Answer, Request } from '../../node/chord/message.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly config?: ChordConfig;
  /** Clocks of the nodes differ by at most this share. */
  readonly clockSkew?: number;
  /** Called after every step of every node; throws what it finds wrong. */
  readonly observe?: (simulation: Simulation, observation: Observation) => void;
  /** One line per event. */
  readonly trace?: (line: string) => void;
}

/** One step of one node, for whoever checks invariants. */
export interface Observation {
  readonly node: SimulatedNode;
  readonly event: ChordEvent;
  readonly before: SimulatedNode['state'];
}

/** Bytes of a message on the wire. */
export interface MessageSizes {
  request(request: Request): number;
  answer(answer: Answer): number;
}
