/**
 * What must hold after every step of every node (I1..I9 of docs/protocol.md). Safety is checked at the moment;
 * liveness, an ideal ring and right answers, after quiet (`oracle.ts`).
 */
import { clockwiseDistance } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { findMember } from '../../node/chord/member-table.ts';
import { sameLife } from '../../node/chord/ring-pointers.ts';
import type { NodeState } from '../../node/chord/step.ts';
import type { History } from './history.ts';
import { overlap, spokenFor } from './oracle.ts';
import type { RingShape } from './ring-shape.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';
import type { Observation } from './simulation-options.ts';

export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function checkInvariants(simulation: Simulation, observation: Observation): void {
  const { node } = observation;
  listsAreOrdered(node.state);
  everyMemberGoesOn(simulation, node);
  pointersWereContacted(observation);
  predecessorsOnlyComeCloser(observation);
  livesNeverGoBack(observation);
  pointersAreCurrent(observation);
  registryKnowsMembers(simulation, node);
  atMostOneOwner(simulation, node);
  ownersSpeakForThemselves(simulation);
}

/** I3 and I9 alone: what must hold after any step, whatever a peer said before it. */
export function checkPointers(observation: Observation): void {
  listsAreOrdered(observation.node.state);
  livesNeverGoBack(observation);
  pointersAreCurrent(observation);
}

function fail(invariant: string, text: string): never {
  throw new InvariantError(`${invariant}: ${text}`);
}

/** I3: no list holds self or a member twice, and all go once round the circle at most. */
function listsAreOrdered({ pointers, self, config }: NodeState): void {
  let reached = 0;
  for (const member of pointers.successorList) {
    const distance = clockwiseDistance(self.id, member.id);
    if (distance <= reached) fail('I3', `${self.instanceId} lists ${names(pointers.successorList)}`);
    reached = distance;
  }
  if (pointers.successorList.length > config.successorListLength)
    fail('I3', `${self.instanceId} lists too many`);
}

/** I1: a member has a successor to ask, or a moment near enough at which it will look for one in the member table. */
function everyMemberGoesOn(simulation: Simulation, node: SimulatedNode): void {
  const { state } = node;
  if (state.standing !== 'inside') return;
  const { idlePeriodMs, registrySyncMs, jitter } = state.config;
  const within = (atMs: number, periodMs: number) =>
    atMs <= node.localMs(simulation.nowMs) + periodMs * (1 + jitter);
  const { stabilizeAtMs, registrySyncAtMs } = state.schedule;
  if (!within(stabilizeAtMs, idlePeriodMs) || state.wakeAtMs > stabilizeAtMs) {
    fail('I1', `${state.self.instanceId} will not stabilize in time`);
  }
  if (state.config.corrections.registryResync && !within(registrySyncAtMs, registrySyncMs)) {
    fail('I1', `${state.self.instanceId} will not look into the member table in time`);
  }
}

/** I8: a head of the list or a predecessor that is new has been in touch in this very step. */
function pointersWereContacted({ node, event, before }: Observation): void {
  const { state } = node;
  if (state.standing !== 'inside' || before.standing !== 'inside') return;
  const contacted = contactOf(event, before);
  const head = state.pointers.successorList[0];
  const wasListed = (member: Member) =>
    before.pointers.successorList.some((m) => m.instanceId === member.instanceId);
  // A member further down the list moves up when those before it are given up: it was learned with the list.
  if (head !== undefined && !wasListed(head) && head.instanceId !== contacted) {
    fail('I8', `${state.self.instanceId} adopted ${head.instanceId} as successor unseen (${event.kind})`);
  }
  const { predecessor } = state.pointers;
  const isNew =
    predecessor !== undefined && predecessor.instanceId !== before.pointers.predecessor?.instanceId;
  if (isNew && predecessor.instanceId !== contacted) {
    fail(
      'I8',
      `${state.self.instanceId} adopted ${predecessor.instanceId} as predecessor unseen (${event.kind})`,
    );
  }
}

/** Rectify: a predecessor that nothing speaks against is never given up for one farther away. */
function predecessorsOnlyComeCloser({ node: { state }, before }: Observation): void {
  const was = before.pointers.predecessor;
  const is = state.pointers.predecessor;
  if (
    state.standing !== 'inside' ||
    before.pointers.predecessorIsDead ||
    was === undefined ||
    is === undefined
  ) {
    return;
  }
  const isFarther = clockwiseDistance(is.id, state.self.id) > clockwiseDistance(was.id, state.self.id);
  const entry = findMember(state.table, was.id);
  // A later life under the same id is the end of the one that was our predecessor.
  const isOver = entry?.phase === 'left' || (entry !== undefined && !sameLife(entry, was));
  const isKnownGone = isOver || state.suspicions.has(was.instanceId);
  if (isFarther && !isKnownGone)
    fail('I8', `${state.self.instanceId} gave ${was.instanceId} up for ${is.instanceId}`);
}

function contactOf(event: Observation['event'], before: NodeState): string | undefined {
  if (event.kind === 'answered') return before.calls.get(event.callId)?.to.instanceId;
  if (event.kind === 'received' && 'from' in event.request) return event.request.from.instanceId;
  return undefined;
}

/** I9: what a node knows of a place only ever moves on to later lives. */
function livesNeverGoBack({ node, before }: Observation): void {
  const { state } = node;
  // A newcomer that begins anew forgets what it heard on its first attempt.
  if (state.table === before.table || before.standing !== 'inside') return;
  for (const member of state.table.members) {
    const known = before.table.members.find(({ id }) => id === member.id);
    if (known !== undefined && known.incarnation > member.incarnation) {
      fail('I9', `${state.self.instanceId} went back to ${member.instanceId}/${member.incarnation}`);
    }
  }
}

/** I9, for pointers: who is new in the list, or as predecessor, is no older life than the one known there. */
function pointersAreCurrent({ node: { state }, before }: Observation): void {
  if (state.standing !== 'inside') return;
  const { predecessor, predecessorIsDead, successorList } = state.pointers;
  const old = before.pointers;
  const adopted = successorList.filter((member) => !old.successorList.includes(member));
  if (predecessor !== undefined && predecessor !== old.predecessor && !predecessorIsDead)
    adopted.push(predecessor);
  for (const member of adopted) {
    const known = findMember(state.table, member.id);
    if (known !== undefined && known.incarnation > member.incarnation) {
      fail(
        'I9',
        `${state.self.instanceId} points to ${member.instanceId}/${member.incarnation}, which is over`,
      );
    }
  }
}

/** I5: whoever is in the pointers has its row in the member table, or was replaced and does not know it yet. */
function registryKnowsMembers(simulation: Simulation, { state, isGone }: SimulatedNode): void {
  if (state.standing !== 'inside' || isGone) return;
  const { registry } = simulation;
  if (registry.find(state.self.instanceId) === undefined && !registry.isDeclaredDead(state.self)) {
    fail('I5', `${state.self.instanceId} is in the ring and not in the member table`);
  }
}

/** I6: no two nodes say "mine" for one key at one time, frozen ones and those cut off included. */
function atMostOneOwner(simulation: Simulation, node: SimulatedNode): void {
  const own = spokenFor(node, simulation.nowMs);
  if (own.length === 0) return;
  for (const other of simulation.nodes.values()) {
    if (other === node) continue;
    for (const theirs of spokenFor(other, simulation.nowMs)) {
      const both = own.find((ours) => overlap(ours, theirs));
      if (both !== undefined) {
        fail(
          'I6',
          `${node.member.instanceId} (${both.from}, ${both.to}] and ${other.member.instanceId} (${theirs.from}, ${theirs.to}]`,
        );
      }
    }
  }
}

/** I6, the asking side: a lookup ends with the owner's own word, not with somebody's guess. */
function ownersSpeakForThemselves({ unconfirmed }: Simulation): void {
  if (unconfirmed[0] !== undefined) fail('I6', unconfirmed[0]);
}

/** I2 and I4. */
export function ringIsWhole(shape: RingShape, simulation: Simulation, observation: Observation): void {
  const flaw = shape.flawAfter(simulation, observation);
  if (flaw !== undefined) fail('I2/I4', flaw);
}

/** I1, I10 and I11, as far as they take several steps. */
export function historyIsRight(history: History, simulation: Simulation, observation: Observation): void {
  const flaw = history.flawAfter(simulation, observation);
  if (flaw !== undefined) fail(...flaw);
}

function names(members: readonly Member[]): string {
  return members.map(({ instanceId }) => instanceId).join();
}
