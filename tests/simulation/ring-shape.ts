/**
 * I2 and I4, looked at after every step: one ordered ring that all members reach, and no member that was part of
 * every list is left out of one again. Only a failure may do that (Zave, TSE 2017), or the belief in one: while some
 * member is frozen, cut off, or given up although it lives, two halves may each go on with the lists they have, and
 * custody alone (I6) keeps them apart. So the watch pauses then, and goes on once every list is whole again. So it does
 * when a ring begins: when a whole ring starts cold from the member table's list of those who served, or the control plane
 * founds another after the last member left. A newcomer that outlived the ring it was coming into is in none of the new
 * one's lists until it is met again.
 */
import { clockwiseDistance } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { ChordEvent } from '../../node/chord/event.ts';
import type { NodeState } from '../../node/chord/step.ts';
import { insideById } from './oracle.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';
import type { Observation } from './simulation-options.ts';

/** An answer given before a member was in every list is over after this: the longest timeout, and clocks that differ. */
const OLD_ANSWERS_MS = 600;

export class RingShape {
  readonly counts = { watched: 0, paused: 0, principals: 0 };
  /** Since when each life has been in every list that could leave it out; Infinity while it is not. */
  readonly #principalSinceMs = new Map<string, number>();
  #isWatching = true;
  #seen = '';

  /** What is wrong after this step; undefined: nothing. */
  flawAfter(simulation: Simulation, { event }: Observation): string | undefined {
    const inside = insideById(simulation);
    const lives = inside.map(({ member }) => lifeOf(member)).join();
    const shape = `${lives} ${inside.map(({ state }) => shapeOf(state)).join(' ')}`;
    const isExcused = beginsRing(event) || isDisturbed(simulation, inside);
    if (isExcused) this.#pause();
    if (shape === this.#seen && !isExcused && this.#isWatching) return undefined;
    this.#seen = shape;
    const flaw = ringFlaw(simulation, inside);
    if (isExcused) return undefined;
    if (!this.#isWatching) {
      this.#isWatching = flaw === undefined && inside.every((node) => isListWhole(node.state, inside));
      return undefined;
    }
    this.counts.watched += 1;
    return flaw ?? this.#lostPrincipal(simulation, inside);
  }

  #pause(): void {
    this.counts.paused += 1;
    this.#isWatching = false;
    this.#principalSinceMs.clear();
  }

  #lostPrincipal(simulation: Simulation, inside: readonly SimulatedNode[]): string | undefined {
    const { nowMs } = simulation;
    for (const { member, state } of inside) {
      const life = lifeOf(member);
      const since = this.#principalSinceMs.get(life) ?? Number.POSITIVE_INFINITY;
      const skipper = inside.find((other) => skips(other.state, member));
      if (skipper === undefined) {
        this.#principalSinceMs.set(life, Math.min(since, nowMs));
        if (nowMs > since + OLD_ANSWERS_MS) this.counts.principals += 1;
        continue;
      }
      this.#principalSinceMs.delete(life);
      if (nowMs > since + OLD_ANSWERS_MS && state.phase !== 'left') {
        return `${skipper.member.instanceId} left ${member.instanceId} out of its list`;
      }
    }
    return undefined;
  }
}

function lifeOf({ instanceId, incarnation }: Member): string {
  return `${instanceId}/${incarnation}`;
}

const shapes = new WeakMap<readonly Member[], string>();

/** Lists are replaced, never changed: the same array needs no second look. */
function shapeOf({ pointers: { successorList } }: NodeState): string {
  const known = shapes.get(successorList);
  if (known !== undefined) return known;
  const shape = successorList.map(lifeOf).join();
  shapes.set(successorList, shape);
  return shape;
}

function beginsRing(event: ChordEvent): boolean {
  return (
    event.kind === 'commanded' && (event.command.kind === 'coldStart' || event.command.kind === 'create')
  );
}

/** Somebody lives and another has reason to believe that it does not. */
function isDisturbed({ network, nodes, registry }: Simulation, inside: readonly SimulatedNode[]): boolean {
  if (network.isAnyCut) return true;
  if ([...nodes.values()].some(({ isUp, isFrozen }) => isUp && isFrozen)) return true;
  if (inside.some(({ member }) => registry.isDeclaredDead(member))) return true;
  const living = new Set(inside.map(({ member }) => lifeOf(member)));
  return inside.some(({ state }) => {
    for (const { member, verdict } of state.suspicions.values()) {
      if (verdict !== undefined && living.has(lifeOf(member))) return true;
    }
    return state.table.tombstones.some(({ member }) => living.has(lifeOf(member)));
  });
}

/** Between two neighbouring entries of self and list there is a member that the list does not name. */
function skips({ self, pointers }: NodeState, member: Member): boolean {
  const distance = clockwiseDistance(self.id, member.id);
  let reached = 0;
  for (const entry of pointers.successorList) {
    const next = clockwiseDistance(self.id, entry.id);
    if (distance > reached && distance < next) return true;
    reached = next;
  }
  return false;
}

function isListWhole(state: NodeState, inside: readonly SimulatedNode[]): boolean {
  const isEmpty = state.pointers.successorList.length === 0;
  return (inside.length < 2 || !isEmpty) && inside.every(({ member }) => !skips(state, member));
}

/** Where a member goes next: its first entry that lives; with none, whoever it knows or the member table names. */
function bestSuccessor(
  simulation: Simulation,
  inside: readonly SimulatedNode[],
  node: SimulatedNode,
): SimulatedNode {
  const isThere = ({ member }: SimulatedNode, { instanceId, incarnation }: Member) =>
    member.instanceId === instanceId && member.incarnation === incarnation;
  for (const entry of node.state.pointers.successorList) {
    const found = inside.find((other) => isThere(other, entry));
    if (found !== undefined) return found;
  }
  const rows = simulation.registry.rows();
  const known = inside.filter(
    (other) =>
      other !== node &&
      (node.state.table.members.some((entry) => isThere(other, entry)) ||
        rows.some((row) => isThere(other, row))),
  );
  const { id } = node.member;
  known.sort((a, b) => clockwiseDistance(id, a.member.id) - clockwiseDistance(id, b.member.id));
  return known[0] ?? node;
}

/** AtLeastOneRing, AtMostOneRing, OrderedRing and ConnectedAppendages in one. */
function ringFlaw(simulation: Simulation, inside: readonly SimulatedNode[]): string | undefined {
  if (inside.length < 2) return undefined;
  const next = new Map(inside.map((node) => [node, bestSuccessor(simulation, inside, node)]));
  const follow = (from: SimulatedNode, steps: number) => {
    let at = from;
    for (let i = 0; i < steps; i++) at = next.get(at) ?? at;
    return at;
  };
  const ring: SimulatedNode[] = [];
  const first = inside[0];
  if (first === undefined) return undefined;
  // After as many steps as there are members, every walk is in a ring.
  const start = follow(first, inside.length);
  for (let at = start; !ring.includes(at); at = next.get(at) ?? at) ring.push(at);
  for (const node of inside) {
    if (!ring.includes(follow(node, inside.length))) {
      return `${node.member.instanceId} leads to another ring than ${first.member.instanceId}`;
    }
  }
  const turns = ring.filter(
    ({ member }, i) => (ring[(i + 1) % ring.length]?.member.id ?? 0) <= member.id,
  ).length;
  return turns === 1 ? undefined : `the ring ${ring.map(({ member }) => member.instanceId).join()} winds`;
}
