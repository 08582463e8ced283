import { ChordfsError } from '../../domain/errors.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import {
  acquireAdmission,
  admissionKey,
  castVote,
  countVotes,
  deathsKey,
  declareDead,
  isDead,
  parseAdmission,
  parseDeaths,
  releaseAdmission,
  renewAdmission,
  votePrefix,
} from '../../domain/ring-registry.ts';
import { type ItemStore, ringPartition } from '../../domain/table-writes.ts';
import type { AdmissionLease, MemberLife, Registry } from '../ring/registry.ts';
import { readLiveMembers } from './member-directory.ts';

/** Admission takes well under a second; a holder that died holds everybody up for at most this. Never scaled. */
const ADMISSION_TTL_MS = 30_000;
/** Clocks of two holders may differ by this much: the table's copy of the lease lasts longer than the holder's. */
const CLOCK_SKEW_MS = 5_000;
const VOTE_WINDOW_MS = 60_000;
const VOTES_NEEDED = 2;

/** The ring's view of the member table, over DynamoDB. Stateless: every answer is one to three consistent calls. */
export class DynamodbRegistry implements Registry {
  readonly #store: ItemStore;
  readonly #stage: string;
  readonly #ringId: string;
  readonly #now: () => number;

  constructor(options: {
    readonly store: ItemStore;
    readonly stage: string;
    readonly ringId: string;
    readonly now?: () => number;
  }) {
    this.#store = options.store;
    this.#stage = options.stage;
    this.#ringId = options.ringId;
    this.#now = options.now ?? Date.now;
  }

  liveMembers(signal: AbortSignal): Promise<readonly RingMember[]> {
    return this.#ask(signal, async () => {
      const live = await readLiveMembers(this.#store, this.#stage, this.#ringId);
      return live.map(({ member }) => member);
    });
  }

  acquireAdmission(holder: MemberLife, signal: AbortSignal): Promise<AdmissionLease | undefined> {
    return this.#ask(signal, async () => {
      const stage = this.#stage;
      const ttlMs = ADMISSION_TTL_MS + CLOCK_SKEW_MS;
      const isGranted = await this.#store.write(
        acquireAdmission({ stage, holder, nowMs: this.#now(), ttlMs }),
      );
      if (!isGranted) return undefined;
      const fence = parseAdmission(await this.#store.get(admissionKey(stage)), holder);
      // Taken over between the two calls: only after a lease that ran out meanwhile.
      return fence === undefined ? undefined : { fence, ttlMs: ADMISSION_TTL_MS };
    });
  }

  renewAdmission(
    holder: MemberLife,
    { fence }: AdmissionLease,
    signal: AbortSignal,
  ): Promise<AdmissionLease | undefined> {
    return this.#ask(signal, async () => {
      const ttlMs = ADMISSION_TTL_MS + CLOCK_SKEW_MS;
      const isRenewed = await this.#store.write(
        renewAdmission({ stage: this.#stage, holder, fence, nowMs: this.#now(), ttlMs }),
      );
      return isRenewed ? { fence, ttlMs: ADMISSION_TTL_MS } : undefined;
    });
  }

  releaseAdmission(holder: MemberLife, { fence }: AdmissionLease, signal: AbortSignal): Promise<void> {
    return this.#ask(signal, async () => {
      await this.#store.write(releaseAdmission({ stage: this.#stage, holder, fence }));
    });
  }

  voteDead(
    { suspect, voter, evidence }: Parameters<Registry['voteDead']>[0],
    signal: AbortSignal,
  ): Promise<'noted' | 'dead'> {
    return this.#ask(signal, async () => {
      const [stage, ringId, nowMs] = [this.#stage, this.#ringId, this.#now()];
      const deaths = parseDeaths(await this.#store.get(deathsKey(stage, ringId)));
      if (isDead(deaths, suspect)) return 'dead';
      await this.#store.write(castVote({ stage, ringId, suspect, voter, nowMs }));
      const votes = await this.#store.list(ringPartition(stage), votePrefix(ringId, suspect));
      if (evidence !== 'refused' && countVotes(votes, nowMs - VOTE_WINDOW_MS) < VOTES_NEEDED) return 'noted';
      // Refused when the voter is itself among the dead: its word counts for nothing.
      const isDeclared = await this.#store.write(
        declareDead({ stage, ringId, dead: [suspect], claimant: voter }),
      );
      return isDeclared ? 'dead' : 'noted';
    });
  }

  arbitrate(
    { claimant, against }: Parameters<Registry['arbitrate']>[0],
    signal: AbortSignal,
  ): Promise<'won' | 'lost'> {
    return this.#ask(signal, async () => {
      if (against.length === 0) return (await this.isDeclaredDead(claimant, signal)) ? 'lost' : 'won';
      const isWon = await this.#store.write(
        declareDead({ stage: this.#stage, ringId: this.#ringId, dead: against, claimant }),
      );
      return isWon ? 'won' : 'lost';
    });
  }

  isDeclaredDead(life: MemberLife, signal: AbortSignal): Promise<boolean> {
    return this.#ask(signal, async () => {
      const item = await this.#store.get(deathsKey(this.#stage, this.#ringId));
      return isDead(parseDeaths(item), life);
    });
  }

  /** The one place where a table that is away becomes an error the ring knows. The SDK's own deadline bounds the call. */
  async #ask<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const abortion = untilAborted(signal);
    try {
      return await Promise.race([work(), abortion.promise]);
    } catch (cause) {
      if (cause instanceof ChordfsError) throw cause;
      throw new ChordfsError('PEER_UNREACHABLE', { service: 'member table' }, { cause });
    } finally {
      abortion.forget();
    }
  }
}

/** The signal may live as long as the node: whoever waited for it must not stay with it. */
function untilAborted(signal: AbortSignal): {
  readonly promise: Promise<never>;
  readonly forget: () => void;
} {
  let listener: () => void = () => undefined;
  const promise = new Promise<never>((_, reject) => {
    listener = () => reject(signal.reason);
    signal.addEventListener('abort', listener, { once: true });
  });
  return { promise, forget: () => signal.removeEventListener('abort', listener) };
}
