/** Invariants that take more than one step to see: what a node did, or did not do, since something happened to it. */
import { clockwiseDistance, type Identifier } from '../../domain/identifier.ts';
import type { NodeState } from '../../node/chord/step.ts';
import { hasVerdict } from '../../node/chord/verdict.ts';
import { insideById } from './oracle.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';
import type { Observation } from './simulation-options.ts';

/** Ends of the part of the circle that the answers have left, in clockwise distance from the asker. */
interface Left {
  readonly after: number;
  readonly before: number;
}

export class History {
  readonly #exhaustedSinceMs = new Map<string, number>();
  readonly #lookups = new Map<string, Left>();

  /** The invariant that broke, and how; undefined: none. */
  flawAfter(simulation: Simulation, observation: Observation): readonly [string, string] | undefined {
    return (
      this.#exhaustedWithoutRecovery(simulation, observation.node) ??
      this.#hopThatIsNotCloser(observation) ??
      newcomersAtOnce(simulation, observation)
    );
  }

  /** I1: a member with nobody left to ask has gone to the member table within two periods. */
  #exhaustedWithoutRecovery(
    { nowMs, askedTableAtMs, config }: Simulation,
    { state, member }: SimulatedNode,
  ): readonly [string, string] | undefined {
    const { instanceId } = member;
    if (!isExhausted(state)) {
      this.#exhaustedSinceMs.delete(instanceId);
      return undefined;
    }
    const since = this.#exhaustedSinceMs.get(instanceId) ?? nowMs;
    this.#exhaustedSinceMs.set(instanceId, since);
    const askedAtMs = askedTableAtMs.get(instanceId) ?? Number.NEGATIVE_INFINITY;
    const patienceMs = 2 * config.idlePeriodMs;
    if (askedAtMs >= since || nowMs <= since + patienceMs) return undefined;
    return ['I1', `${instanceId} knows nobody to ask, and did not ask the member table for ${patienceMs} ms`];
  }

  /** I10: whoever is asked on another's word lies strictly between those that were asked before. */
  #hopThatIsNotCloser({ node, event, before }: Observation): readonly [string, string] | undefined {
    this.#forgetEndedRounds(before);
    if (event.kind !== 'answered' || event.answer.kind !== 'redirect') return undefined;
    const answered = before.calls.get(event.callId);
    if (answered?.purpose.kind !== 'lookup') return undefined;
    const { lookupId } = answered.purpose;
    const was = before.lookups.get(lookupId);
    const is = node.state.lookups.get(lookupId);
    if (was === undefined) return undefined;
    const { self } = node.state;
    const name = nameOf(before, lookupId);
    const left = this.#lookups.get(name) ?? { after: 0, before: 2 ** 32 };
    const now = without(left, self.id, was.key, answered.to.id);
    this.#lookups.set(name, now);
    for (const candidate of is?.candidates ?? []) {
      if (was.candidates.includes(candidate)) continue;
      const at = clockwiseDistance(self.id, candidate.id);
      if (at <= now.after || at >= now.before) {
        return [
          'I10',
          `${answered.to.instanceId} sent ${self.instanceId} to ${candidate.instanceId}, no closer to ${was.key}`,
        ];
      }
    }
    return undefined;
  }

  /** A round that found nobody waits, and the next one begins with the whole circle. */
  #forgetEndedRounds(state: NodeState): void {
    for (const [lookupId, { retryAtMs }] of state.lookups) {
      if (retryAtMs !== undefined) this.#lookups.delete(nameOf(state, lookupId));
    }
  }
}

function nameOf({ self }: NodeState, lookupId: number): string {
  return `${self.instanceId}/${self.incarnation}/${lookupId}`;
}

function without({ after, before }: Left, from: Identifier, key: Identifier, asked: Identifier): Left {
  const at = clockwiseDistance(from, asked);
  const isBefore = at < clockwiseDistance(from, key);
  return isBefore ? { after: Math.max(after, at), before } : { after, before: Math.min(before, at) };
}

/** Nobody in its list, nobody it knows of, and no predecessor: and yet it does not own the whole circle. */
function isExhausted(state: NodeState): boolean {
  const { self, pointers, custody, table, standing } = state;
  if (standing !== 'inside' || custody.arcFrom === self.id) return false;
  const isUsable = ({ instanceId }: { readonly instanceId: string }) =>
    instanceId !== self.instanceId && !hasVerdict(state, instanceId);
  const { predecessor, predecessorIsDead, successorList } = pointers;
  if (predecessor === undefined) return false;
  if (!predecessorIsDead && isUsable(predecessor)) return false;
  return !successorList.some(isUsable) && !table.members.some(isUsable);
}

/** I11: while nothing disturbs them, newcomers come into the pointers one after the other. */
function newcomersAtOnce(
  simulation: Simulation,
  { node, before }: Observation,
): readonly [string, string] | undefined {
  if (before.standing === 'inside' || node.state.join?.step !== 'settle') return undefined;
  const others = insideById(simulation).filter(
    (other) => other !== node && other.state.join?.step === 'settle',
  );
  return others[0] === undefined
    ? undefined
    : ['I11', `${node.member.instanceId} came in while ${others[0].member.instanceId} was still on its way`];
}
