/** Every interleaving of joins, failures, rejoins under the same id, stabilizes and re-syncs of a small ring. */
import { clockwiseDistance } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { type Model, World, type WorldText } from './explorer-world.ts';

export interface Exploration {
  readonly states: number;
  /** The frontier was not empty when the limit was reached. */
  readonly isCutOff: boolean;
  readonly noRing: number;
  readonly twoRings: number;
  readonly disordered: number;
  readonly stranded: number;
  /** States from which a fair schedule without joins and failures does not lead to the ideal ring. */
  readonly unhealed: number;
  readonly healed: number;
  readonly example: string | undefined;
}

export interface ExploreOptions {
  readonly maxStates: number;
  /** Of the states found, every n-th is healed; 1: all. */
  readonly healEvery?: number;
  /** Stop at the first violation. */
  readonly untilViolation?: boolean;
}

type Flaw = 'noRing' | 'twoRings' | 'disordered' | 'stranded';

/** Longest fair schedule: each round stabilizes every member once and syncs it with the registry. */
const HEAL_ROUNDS = 16;

export function explore(model: Model, options: ExploreOptions): Exploration {
  const world = new World(model);
  const seen = new Map<WorldText, string>();
  const frontier: WorldText[] = [];
  const counts: Record<Flaw, number> = { noRing: 0, twoRings: 0, disordered: 0, stranded: 0 };
  let unhealed = 0;
  let healed = 0;
  let example: string | undefined;
  const visit = (text: WorldText, how: string) => {
    if (seen.has(text) || seen.size >= options.maxStates) return;
    seen.set(text, how);
    frontier.push(text);
    world.load(text);
    const flaw = flawIn(world);
    if (flaw !== undefined) {
      counts[flaw] += 1;
      example ??= `${flaw}: ${text} after ${how}`;
    }
    if (seen.size % (options.healEvery ?? 1) === 0) {
      if (heals(world, text)) healed += 1;
      else {
        unhealed += 1;
        example ??= `never heals: ${text} after ${how}`;
      }
    }
  };
  visit(world.first(), 'start');
  const isDone = () => options.untilViolation === true && example !== undefined;
  for (let at = 0; at < frontier.length && !isDone(); at++) {
    const text = frontier[at] ?? '';
    for (const [how, next] of successors(world, text)) visit(next, how);
  }
  const isCutOff = seen.size >= options.maxStates;
  return { states: seen.size, isCutOff, ...counts, unhealed, healed, example };
}

/** All that may happen next. */
function* successors(world: World, text: WorldText): Generator<readonly [string, WorldText]> {
  const { idCount, corrections } = world.model;
  world.load(text);
  const living = world.living();
  const mayJoin = !corrections.serialAdmission || isIdeal(world);
  for (const index of living) {
    world.load(text);
    world.stabilize(index);
    yield [`stabilize ${index} in ${text}`, world.save()];
    if (corrections.registryResync) {
      world.load(text);
      world.syncRegistry(index);
      yield [`sync ${index} in ${text}`, world.save()];
    }
    if (living.length > 1) {
      world.load(text);
      world.fail(index);
      yield [`fail ${index} in ${text}`, world.save()];
    }
  }
  for (let index = 0; index < idCount && mayJoin; index++) {
    if (living.includes(index)) continue;
    for (const via of living) {
      world.load(text);
      if (world.join(index, via)) yield [`join ${index} via ${via} in ${text}`, world.save()];
    }
  }
}

export function heals(world: World, text: WorldText): boolean {
  world.load(text);
  let now = text;
  for (let round = 0; round < HEAL_ROUNDS; round++) {
    if (isIdeal(world)) return true;
    for (const index of world.living()) {
      world.load(now);
      world.stabilize(index);
      now = world.save();
      if (world.model.corrections.registryResync) {
        world.load(now);
        world.syncRegistry(index);
        now = world.save();
      }
    }
    world.load(now);
  }
  return isIdeal(world);
}

/** Where a member would go next: its first living entry, or, with its list exhausted, whom the registry names. */
function bestSuccessor(world: World, index: number): number | undefined {
  const living = world.living();
  const node = world.node(index);
  if (node === undefined) return undefined;
  const entry = node.pointers.successorList.find((member) => isLiving(world, member));
  if (entry !== undefined) return entry.id / 10 - 1;
  if (living.length === 1) return index;
  // As published it is its own successor then, or, with nothing but the dead to go to, has none at all.
  if (!world.model.corrections.registryFallback) {
    return node.pointers.successorList.length === 0 ? index : undefined;
  }
  return living[(living.indexOf(index) + 1) % living.length];
}

function isLiving(world: World, member: Member): boolean {
  const node = world.node(member.id / 10 - 1);
  return (
    node !== undefined &&
    (node.self.incarnation === member.incarnation || !world.model.corrections.incarnations)
  );
}

/** AtLeastOneRing, AtMostOneRing, OrderedRing, ConnectedAppendages: lost once, repair never gets them back (Zave). */
export function flawIn(world: World): Flaw | undefined {
  const living = world.living();
  const next = new Map(living.map((index) => [index, bestSuccessor(world, index)]));
  const inRing = living.filter((index) => reaches(next, index, index));
  if (inRing.length === 0) return 'noRing';
  const first = inRing[0] ?? 0;
  if (inRing.some((index) => index !== first && !reaches(next, first, index))) return 'twoRings';
  const isOrdered = inRing.every((index) => {
    const successor = next.get(index) ?? index;
    return inRing.every(
      (other) => other === index || other === successor || !isBetween(other, index, successor),
    );
  });
  if (!isOrdered) return 'disordered';
  return living.some((index) => !inRing.includes(index) && !reaches(next, index, first))
    ? 'stranded'
    : undefined;
}

function reaches(next: ReadonlyMap<number, number | undefined>, from: number, to: number): boolean {
  let at = next.get(from);
  for (let i = 0; i < next.size && at !== undefined; i++) {
    if (at === to) return true;
    at = next.get(at);
  }
  return false;
}

function isBetween(other: number, from: number, to: number): boolean {
  const size = 64;
  return from === to || (other - from + size) % size < (to - from + size) % size;
}

export function isIdeal(world: World): boolean {
  const living = world.living();
  return living.every((index, at) => {
    const node = world.node(index);
    if (node === undefined) return false;
    const { predecessor, predecessorIsDead, successorList } = node.pointers;
    const length = Math.min(world.config.successorListLength, living.length - 1);
    const expected = Array.from({ length }, (_, i) => living[(at + 1 + i) % living.length]);
    const listed = successorList.filter((member) => clockwiseDistance(node.self.id, member.id) !== 0);
    const before = living[(at - 1 + living.length) % living.length];
    const isListRight =
      listed.length >= length && expected.every((id, i) => isLivingAt(world, listed[i], id));
    return (
      isListRight && (living.length === 1 || (!predecessorIsDead && isLivingAt(world, predecessor, before)))
    );
  });
}

function isLivingAt(world: World, member: Member | undefined, index: number | undefined): boolean {
  return (
    member !== undefined && index !== undefined && member.id / 10 - 1 === index && isLiving(world, member)
  );
}
