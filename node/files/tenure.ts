import { ChordfsError } from '../../domain/errors.ts';
import type { Version } from '../../domain/file-record.ts';
import type { Identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Ring } from '../ring/ring.ts';
import type { Store } from '../store/store.ts';
import type { PeerCalls } from './peer-calls.ts';
import type { Placement, Replicas } from './placement.ts';
import { writeVerdict } from './write-quorum.ts';

/**
 * Which of two owners' versions is the newer one, without a clock.
 *
 * A paused owner may leave a version on a single replica, never acknowledged, while its successor takes over and
 * issues the next version of the same name. If both just counted on from what they knew, the stray one could win
 * when its replica comes back, and an acknowledged file would be lost. So an owner first opens a *tenure*: a number
 * higher than any that a quorum of its replicas has promised to before (the prepare phase of Paxos, once per tenure
 * instead of once per write). A version's counter is `tenure * 2^22 + sequence`, so everything of a later tenure is
 * newer than everything of an earlier one.
 */

/** Versions of one name within one tenure; 2^31 tenures fit beside it into an exact integer. */
const SEQUENCE_SPAN = 2 ** 22;
const SETTING = 'files.tenure';
const MAX_ROUNDS = 8;
const CALL_TIMEOUT_MS = 2_000;

export interface TenureOptions {
  readonly ring: Pick<Ring, 'snapshot' | 'onChange'>;
  readonly store: Pick<Store, 'getSetting' | 'putSetting'>;
  readonly calls: PeerCalls;
  readonly placement: Placement;
}

export class Tenure {
  readonly #options: TenureOptions;
  /** The highest tenure of anybody this node has promised to; durable before it is told to anyone. */
  #highest: number;
  /** Replica set -> the tenure it agreed to. A newcomer inside the arc splits it in two sets. */
  readonly #agreed = new Map<string, number>();
  #opening: Promise<number> | undefined;

  constructor(options: TenureOptions) {
    this.#options = options;
    this.#highest = Number(options.store.getSetting(SETTING) ?? '0');
    // Somebody else may have owned the arc since: after any change this owner asks again before it issues a version.
    options.ring.onChange(() => this.#agreed.clear());
  }

  /** The other side: a promise to an owner. Answers with the proposal if granted, else with something higher. */
  async promise(proposal: number): Promise<number> {
    if (proposal <= this.#highest) return Math.max(this.#highest, proposal + 1);
    this.#highest = proposal;
    await this.#options.store.putSetting(SETTING, String(proposal));
    return proposal;
  }

  /**
   * The next version of a name that this node owns, of which counters up to `highestCounter` have been used.
   * @throws ChordfsError `REPLICAS_UNAVAILABLE` when no quorum of the replicas promised.
   */
  async issue(key: Identifier, highestCounter: number, signal: AbortSignal): Promise<Version> {
    const { self } = this.#options.ring.snapshot();
    const replicas = this.#options.placement.of(key);
    const tenure = await this.#open(replicas, signal);
    const counter = Math.max(highestCounter + 1, tenure * SEQUENCE_SPAN);
    // A sequence that overflows into the next tenure is still unique and still grows: the next owner sees it.
    return { counter, nodeId: self.id };
  }

  /** From now on versions come from a higher tenure, so that they are newer than any that was issued and forgotten. */
  renew(): void {
    this.#agreed.clear();
  }

  async #open(replicas: Replicas, signal: AbortSignal): Promise<number> {
    const agreedBy = replicas.writeSet
      .map(({ instanceId, incarnation }) => `${instanceId}#${incarnation}`)
      .join();
    // One prepare at a time: the many uploads of the first moment share it.
    while (this.#opening !== undefined && !this.#agreed.has(agreedBy))
      await this.#opening.catch(() => undefined);
    const agreed = this.#agreed.get(agreedBy);
    if (agreed !== undefined) return agreed;
    this.#opening = this.#prepare(replicas, signal);
    const { version } = this.#options.ring.snapshot();
    try {
      const number = await this.#opening;
      if (this.#options.ring.snapshot().version === version) this.#agreed.set(agreedBy, number);
      return number;
    } finally {
      this.#opening = undefined;
    }
  }

  async #prepare(replicas: Replicas, signal: AbortSignal): Promise<number> {
    let proposal = this.#highest + 1;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const outcomes = new Map<string, 'durable' | 'failed'>();
      let highest = proposal;
      const ask = async (member: RingMember) => {
        const known = await this.#propose(member, { proposal }, signal);
        outcomes.set(member.instanceId, known === proposal ? 'durable' : 'failed');
        if (known !== undefined) highest = Math.max(highest, known);
      };
      await Promise.all(replicas.writeSet.map(ask));
      const isUnanimous = [...outcomes.values()].every((outcome) => outcome === 'durable');
      // When those that promised are all lost, a replica that did not takes over with the stand-ins as its replicas:
      // without their word it would open the same tenure once more.
      if (!isUnanimous && highest === proposal) await Promise.all(replicas.standIns.map(ask));
      if (highest === proposal && writeVerdict(replicas, outcomes) === 'acknowledge') return proposal;
      signal.throwIfAborted();
      if (highest === proposal) break;
      proposal = highest + 1;
    }
    throw new ChordfsError('REPLICAS_UNAVAILABLE', { proposal });
  }

  /** Undefined when the member did not answer: it then counts as a replica that is down. */
  async #propose(
    member: RingMember,
    request: { readonly proposal: number },
    signal: AbortSignal,
  ): Promise<number | undefined> {
    try {
      const { reply } = await this.#options.calls.call(member, 'tenure', request, {
        signal,
        timeoutMs: CALL_TIMEOUT_MS,
      });
      return reply.highest;
    } catch (error) {
      if (!(error instanceof ChordfsError)) throw error;
      return undefined;
    }
  }
}
