import type { Member } from '../../domain/member.ts';
import {
  ADMISSION_LEASE_MS,
  type AdmissionAnswer,
  type RegisteredMembers,
  type Registry,
} from './registry.ts';

/** A member table in memory: for tests, and for a bench that shares one between processes. */
export class MemoryRegistry implements Registry {
  readonly #nowMs: () => number;
  readonly #members = new Map<string, Member>();
  readonly #dead = new Map<string, Member>();
  #fence = 0;
  #holder: { readonly life: string; readonly untilMs: number } | undefined;
  /** While true every call fails, as when the table is away. */
  isAway = false;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Stands in for `Membership.startJoining`: written before the ring admits it. */
  add(member: Member): void {
    this.#members.set(member.instanceId, member);
  }

  /** Stands in for `Membership.leave`. */
  remove(instanceId: string): void {
    this.#members.delete(instanceId);
  }

  members(): Promise<RegisteredMembers> {
    return this.#answer(() => ({ members: [...this.#members.values()], dead: [...this.#dead.values()] }));
  }

  acquireAdmission(holder: Member): Promise<AdmissionAnswer> {
    return this.#answer(() => {
      const nowMs = this.#nowMs();
      const current = this.#holder;
      const life = lifeOf(holder);
      if (current !== undefined && current.untilMs > nowMs && current.life !== life) {
        return { kind: 'busy', retryAfterMs: Math.min(250, current.untilMs - nowMs) };
      }
      if (current?.life !== life || current.untilMs <= nowMs) this.#fence += 1;
      this.#holder = { life, untilMs: nowMs + ADMISSION_LEASE_MS };
      return { kind: 'granted', fence: this.#fence };
    });
  }

  releaseAdmission(holder: Member, fence: number): Promise<void> {
    return this.#answer(() => {
      if (this.#holder?.life === lifeOf(holder) && this.#fence === fence) this.#holder = undefined;
    });
  }

  declareDead({ claimant, suspect }: { claimant: Member; suspect: Member }): Promise<boolean> {
    return this.#answer(() => {
      if (this.#dead.has(lifeOf(claimant))) return false;
      this.#bury(suspect);
      return true;
    });
  }

  reportDead({ dead }: { dead: Member }): Promise<void> {
    return this.#answer(() => this.#bury(dead));
  }

  #bury(member: Member): void {
    this.#dead.set(lifeOf(member), member);
    const listed = this.#members.get(member.instanceId);
    if (listed !== undefined && listed.incarnation <= member.incarnation) {
      this.#members.delete(member.instanceId);
    }
  }

  async #answer<T>(act: () => T): Promise<T> {
    await Promise.resolve();
    if (this.isAway) throw new Error('registry away');
    return act();
  }
}

function lifeOf({ instanceId, incarnation }: Member): string {
  return `${instanceId}/${incarnation}`;
}
