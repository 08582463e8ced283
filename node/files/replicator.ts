import { ChordfsError } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Ring } from '../ring/ring.ts';
import { isTransportFailure } from './peer-calls.ts';
import type { Replicas } from './placement.ts';
import { hasQuorum, type Outcomes, writeVerdict } from './write-quorum.ts';
import type { WriteTracker } from './write-tracker.ts';

export interface ReplicatorOptions {
  readonly ring: Pick<Ring, 'snapshot' | 'onChange'>;
  readonly tracker: WriteTracker;
  /** A replica has not confirmed a write that may be acknowledged without it: it must compare with the others. */
  readonly onMissed: (member: RingMember) => void;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** After a replica failed to answer, how long writes do not wait for it if they can be acknowledged without it. */
const DISTRUST_MS = 2_000;
/**
 * Of a replica's time, what a stand-in is given. Raised: a write waits longer for members that hang together, and its
 * sender gives up first. Lowered: on slow disks writes are acknowledged by two.
 */
const STAND_IN_SHARE = 0.2;
/** What a distrusted replica is given once the others are done: enough if it is well again, little if it is frozen. */
const DISTRUSTED_GRACE_MS = 250;

export interface ReplicaWrite {
  readonly replicas: Replicas;
  readonly signal: AbortSignal;
  /** For a replica in good standing. Raised: a frozen replica stalls writes longer. Lowered: a slow disk loses copies. */
  readonly timeoutMs: number;
  /**
   * This replica's copy is made last, only when it alone is still missing for an acknowledgement, and the write is
   * refused without it: whatever it has, a quorum has.
   */
  readonly last?: RingMember | undefined;
  /** Puts the copy on one replica; resolves when it is durable there. */
  readonly send: (
    member: RingMember,
    options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ) => Promise<void>;
}

/**
 * Puts one thing on all its replicas at once and decides whether it may be acknowledged (`write-quorum.ts`).
 *
 * A replica that fails is stood in for by one of the next members, so that also a write that a slow replica missed is
 * on R of them and survives the loss of any R-1. Movement brings the copy home once the replica can take it.
 *
 * Members that are still on their way in are asked only for what those that serve now have taken: a full ring must not
 * fill its newcomers with what it refuses, or they never have room for what they come for.
 */
export class Replicator {
  readonly #options: ReplicatorOptions;
  /** Instance id -> when it last failed to answer. Holds members only, pruned with each change of the ring. */
  readonly #failedAt = new Map<string, number>();
  /** One listener for all writes under way: `onChange` per write would cost every small upload. */
  readonly #underWay = new Set<{ readonly member: RingMember; readonly controller: AbortController }>();

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    options.ring.onChange(({ members }) => {
      const present = new Set(members.map(({ instanceId }) => instanceId));
      for (const instanceId of this.#failedAt.keys())
        if (!present.has(instanceId)) this.#failedAt.delete(instanceId);
      // Waiting on for a member that the ring has given up would stall clients for nothing.
      for (const { member, controller } of this.#underWay) {
        if (!present.has(member.instanceId))
          controller.abort(new ChordfsError('PEER_UNREACHABLE', { id: member.id }));
      }
    });
  }

  /** @throws ChordfsError `VOLUME_FULL`, `REPLICAS_UNAVAILABLE`; or the signal's reason. */
  async write(write: ReplicaWrite): Promise<void> {
    await this.#options.tracker.write(() => this.#write(write));
  }

  async #write({ replicas, signal, timeoutMs, last, send }: ReplicaWrite): Promise<void> {
    const outcomes = new Map<string, 'durable' | 'failed'>();
    const errors: unknown[] = [];
    const isLast = ({ instanceId }: RingMember) => instanceId === last?.instanceId;
    const others = replicas.writeSet.filter((member) => !isLast(member));
    // What becomes of the last copy is not known yet: the others are judged as if it could be made.
    if (last !== undefined) outcomes.set(last.instanceId, 'durable');
    const doubtful = others.filter((member) => this.#isDistrusted(member));
    const standIns = replicas.standIns.filter((member) => !this.#isDistrusted(member));
    const impatience = new AbortController();
    let grace: NodeJS.Timeout | undefined;
    const newcomers = others.filter(({ phase }) => phase === 'joining');
    const presumed = newcomers.map(({ instanceId }) => [instanceId, 'durable'] as const);
    const settle = (member: RingMember, outcome: 'durable' | 'failed') => {
      outcomes.set(member.instanceId, outcome);
      // A slow replica is only done without where that is possible: cut off sooner, an overloaded ring would refuse
      // what it can take.
      const expected = new Map([...presumed, ...outcomes]);
      if (grace !== undefined || !isEnoughWithout(doubtful, replicas, expected)) return;
      const reason = new ChordfsError('DEADLINE_EXCEEDED', { graceMs: DISTRUSTED_GRACE_MS });
      grace = setTimeout(() => impatience.abort(reason), DISTRUSTED_GRACE_MS);
    };
    const copyTo = async (member: RingMember): Promise<void> => {
      const signals = doubtful.includes(member) ? [signal, impatience.signal] : [signal];
      try {
        await this.#sendTo(member, { signals, timeoutMs, send });
        settle(member, 'durable');
      } catch (error) {
        errors.push(error);
        settle(member, 'failed');
        this.#options.onMissed(member);
        await this.#standIn(standIns, {
          ...{ signals: [signal], send },
          timeoutMs: STAND_IN_SHARE * timeoutMs,
        });
      }
    };
    await Promise.all(others.filter(({ phase }) => phase !== 'joining').map(copyTo));
    if (hasQuorum(replicas.current, outcomes)) await Promise.all(newcomers.map(copyTo));
    clearTimeout(grace);
    signal.throwIfAborted();
    if (writeVerdict(replicas, outcomes) !== 'acknowledge') throw refusal(errors);
    if (last !== undefined) await this.#sendTo(last, { signals: [signal], timeoutMs, send });
  }

  /** Takes the first of them that can; each stands in for one replica. None at all leaves the write to its quorum. */
  async #standIn(
    standIns: RingMember[],
    sending: { readonly signals: readonly AbortSignal[] } & Pick<ReplicaWrite, 'timeoutMs' | 'send'>,
  ): Promise<void> {
    for (let member = standIns.shift(); member !== undefined; member = standIns.shift()) {
      if (sending.signals.some(({ aborted }) => aborted)) return;
      try {
        await this.#sendTo(member, sending);
        return;
      } catch (error) {
        if (!(error instanceof ChordfsError)) throw error;
      }
    }
  }

  async #sendTo(
    member: RingMember,
    {
      signals,
      timeoutMs,
      send,
    }: { readonly signals: readonly AbortSignal[] } & Pick<ReplicaWrite, 'timeoutMs' | 'send'>,
  ): Promise<void> {
    const controller = new AbortController();
    const abort = ({ target }: Event) => controller.abort((target as AbortSignal).reason);
    const entry = { member, controller };
    this.#underWay.add(entry);
    for (const signal of signals) signal.addEventListener('abort', abort, { once: true });
    try {
      await send(member, { signal: controller.signal, timeoutMs });
      this.#failedAt.delete(member.instanceId);
    } catch (error) {
      if (isTransportFailure(error)) this.#failedAt.set(member.instanceId, this.#options.now());
      throw error;
    } finally {
      this.#underWay.delete(entry);
      for (const signal of signals) signal.removeEventListener('abort', abort);
    }
  }

  #isDistrusted({ instanceId }: RingMember): boolean {
    const failedAt = this.#failedAt.get(instanceId);
    return failedAt !== undefined && this.#options.now() - failedAt < DISTRUST_MS;
  }
}

/** Whether the write may be acknowledged even if those that are doubtful and still silent fail. */
function isEnoughWithout(doubtful: readonly RingMember[], replicas: Replicas, outcomes: Outcomes): boolean {
  const silent = doubtful.filter(({ instanceId }) => !outcomes.has(instanceId));
  if (silent.length === 0) return false;
  const failed = silent.map(({ instanceId }) => [instanceId, 'failed'] as const);
  return writeVerdict(replicas, new Map([...outcomes, ...failed])) === 'acknowledge';
}

/** A full volume is worth its own answer; a bug is never hidden behind "unavailable". */
function refusal(errors: readonly unknown[]): unknown {
  const bug = errors.find((error) => !(error instanceof ChordfsError));
  if (bug !== undefined) return bug;
  const full = errors.find((error) => error instanceof ChordfsError && error.code === 'VOLUME_FULL');
  return (
    full ?? new ChordfsError('REPLICAS_UNAVAILABLE', { failedCount: errors.length }, { cause: errors[0] })
  );
}
