/**
 * Zave's way to write an interleaving down, run through the real step function: J = joins, S = stabilizes, F = fails,
 * R and U (reconcile and update, steps of their own in the paper) are part of S here, and so is L (flush): whoever
 * stabilizes, or is notified, looks at its predecessor.
 */
import { ALL_CORRECTIONS, type Corrections } from '../../node/chord/config.ts';
import { flawIn, heals, isIdeal } from '../simulation/explorer.ts';
import { World, type WorldText } from '../simulation/explorer-world.ts';

export interface Trace {
  /** Ascending; the first one starts the ring. */
  readonly ids: readonly number[];
  readonly start: number;
  readonly events: string;
  readonly r?: number;
}

export interface TraceEnd {
  /** What was wrong after each event, if anything was. */
  readonly flaws: readonly string[];
  readonly end: WorldText;
  readonly heals: boolean;
  /** Newcomers that were told to wait, for the ring was not ideal. */
  readonly waiting: readonly number[];
}

export function runTrace(trace: Trace, taken: Partial<Corrections> = {}): TraceEnd {
  const corrections = { ...ALL_CORRECTIONS, ...taken };
  const model = { idCount: trace.ids.length, successorListLength: trace.r ?? 2, corrections };
  const world = new World(model, trace.ids.indexOf(trace.start));
  let text = world.first();
  const flaws: string[] = [];
  const waiting: number[] = [];
  for (const event of trace.events.split(' ')) {
    const id = Number(event.slice(1));
    const index = trace.ids.indexOf(id);
    if (index < 0) throw new Error(`no such member: ${event}`);
    world.load(text);
    if (event.startsWith('J')) {
      if (!join(world, index)) waiting.push(id);
    } else if (world.node(index) !== undefined) {
      if (event.startsWith('F')) world.fail(index);
      else world.stabilize(index);
    }
    text = world.save();
    world.load(text);
    const flaw = flawIn(world);
    if (flaw !== undefined) flaws.push(`${event}: ${flaw}`);
  }
  return { flaws, end: text, heals: heals(world, text), waiting };
}

/** Through whoever lives; a newcomer that finds the ring not ideal waits, as the admission lease makes it. */
function join(world: World, index: number): boolean {
  if (world.model.corrections.serialAdmission && !isIdeal(world)) return false;
  return world.living().some((via) => world.join(index, via));
}
