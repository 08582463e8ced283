import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { AdmissionLease, MemberLife, Registry } from './registry.ts';

const LEASE_MS = 30_000;
const VOTE_TTL_MS = 60_000;
const VOTES_NEEDED = 2;

/** A member table in memory: for tests, and for a bench that shares one between processes. */
export class MemoryRegistry implements Registry {
  readonly #nowMs: () => number;
  readonly #members = new Map<string, RingMember>();
  readonly #dead = new Set<string>();
  readonly #votes = new Map<string, Map<string, number>>();
  #fence = 0;
  #holder: { readonly life: string; readonly untilMs: number } | undefined;
  /** While true every call fails, as when the table is away. */
  isAway = false;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Stands in for `Membership`: a row is written before the ring admits its member, and follows its phase. */
  put(member: Member, phase: Exclude<MemberPhase, 'left'>): void {
    this.#members.set(member.instanceId, { ...member, phase });
  }

  /** Stands in for `Membership.leave`. */
  remove(instanceId: string): void {
    this.#members.delete(instanceId);
  }

  liveMembers(): Promise<readonly RingMember[]> {
    return this.#answer(() => [...this.#members.values()]);
  }

  acquireAdmission(holder: MemberLife): Promise<AdmissionLease | undefined> {
    return this.#answer(() => {
      const nowMs = this.#nowMs();
      const life = lifeOf(holder);
      const isFree = this.#holder === undefined || this.#holder.untilMs <= nowMs;
      if (!isFree && this.#holder?.life !== life) return undefined;
      if (isFree) this.#fence += 1;
      this.#holder = { life, untilMs: nowMs + LEASE_MS };
      return { fence: this.#fence, ttlMs: LEASE_MS };
    });
  }

  async renewAdmission(holder: MemberLife, lease: AdmissionLease): Promise<AdmissionLease | undefined> {
    return this.#fence === lease.fence ? this.acquireAdmission(holder) : undefined;
  }

  releaseAdmission(holder: MemberLife, lease: AdmissionLease): Promise<void> {
    return this.#answer(() => {
      if (this.#holder?.life === lifeOf(holder) && this.#fence === lease.fence) this.#holder = undefined;
    });
  }

  voteDead({ suspect, voter, evidence }: Parameters<Registry['voteDead']>[0]): Promise<'noted' | 'dead'> {
    return this.#answer(() => {
      const nowMs = this.#nowMs();
      const life = lifeOf(suspect);
      const votes = this.#votes.get(life) ?? new Map<string, number>();
      this.#votes.set(life, votes.set(lifeOf(voter), nowMs + VOTE_TTL_MS));
      const valid = [...votes.values()].filter((untilMs) => untilMs > nowMs).length;
      if (evidence === 'refused' || valid >= VOTES_NEEDED) this.#bury(suspect);
      return this.#dead.has(life) ? 'dead' : 'noted';
    });
  }

  arbitrate({ claimant, against }: Parameters<Registry['arbitrate']>[0]): Promise<'won' | 'lost'> {
    return this.#answer(() => {
      if (this.#dead.has(lifeOf(claimant))) return 'lost';
      for (const life of against) this.#bury(life);
      return 'won';
    });
  }

  #bury(life: MemberLife): void {
    this.#dead.add(lifeOf(life));
    const listed = this.#members.get(life.instanceId);
    if (listed !== undefined && listed.incarnation <= life.incarnation) {
      this.#members.delete(life.instanceId);
    }
  }

  async #answer<T>(act: () => T): Promise<T> {
    await Promise.resolve();
    if (this.isAway) throw new Error('registry away');
    return act();
  }
}

function lifeOf({ instanceId, incarnation }: MemberLife): string {
  return `${instanceId}/${incarnation}`;
}
