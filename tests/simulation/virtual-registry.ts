import type { Member, MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { RegistryAnswer, RegistryRequest } from '../../node/chord/event.ts';

const LEASE_MS = 30_000;

/** The member table of the simulated control plane: one row per instance, every write conditional on the life. */
export class VirtualRegistry {
  isAvailable = true;
  readonly #rows = new Map<string, RingMember>();
  readonly #declaredDead = new Map<string, number>();
  readonly #votes = new Map<string, Set<string>>();
  #lease: { readonly holder: string; readonly untilMs: number } | undefined;
  #fence = 0;

  rows(): readonly RingMember[] {
    return [...this.#rows.values()].sort((a, b) => a.id - b.id);
  }

  find(instanceId: string): RingMember | undefined {
    return this.#rows.get(instanceId);
  }

  /** The row is written before the ring admits its member, and its phase follows the member's. */
  write(member: Member, phase: MemberPhase): void {
    const known = this.#rows.get(member.instanceId);
    if (known !== undefined && known.incarnation > member.incarnation) return;
    if (this.isDeclaredDead(member)) return;
    this.#rows.set(member.instanceId, { ...member, phase });
  }

  remove(member: Member): void {
    if (this.#rows.get(member.instanceId)?.incarnation === member.incarnation) {
      this.#rows.delete(member.instanceId);
    }
  }

  isDeclaredDead({ instanceId, incarnation }: Member): boolean {
    return (this.#declaredDead.get(instanceId) ?? -1) >= incarnation;
  }

  answer(asker: Member, request: RegistryRequest, nowMs: number): RegistryAnswer {
    if (!this.isAvailable) return { kind: 'unavailable' };
    switch (request.kind) {
      case 'members':
        return { kind: 'members', members: this.rows() };
      case 'acquireAdmission':
        return this.#acquire(asker.instanceId, nowMs);
      case 'releaseAdmission':
        if (this.#lease?.holder === asker.instanceId) this.#lease = undefined;
        return { kind: 'done' };
      case 'arbitrate':
        if (this.isDeclaredDead(asker)) return { kind: 'arbitrated', isWon: false };
        for (const loser of request.against) this.#bury(loser);
        return { kind: 'arbitrated', isWon: true };
      case 'voteDead':
        this.#vote(asker, request.member, request.evidence);
        return { kind: 'done' };
    }
  }

  #acquire(holder: string, nowMs: number): RegistryAnswer {
    const isHeld = this.#lease !== undefined && this.#lease.untilMs > nowMs;
    if (isHeld && this.#lease?.holder !== holder) return { kind: 'admissionBusy' };
    if (!isHeld || this.#lease?.holder !== holder) this.#fence += 1;
    this.#lease = { holder, untilMs: nowMs + LEASE_MS };
    return { kind: 'admissionGranted', fence: this.#fence };
  }

  #vote(voter: Member, suspect: Member, evidence: 'refused' | 'silent'): void {
    if (this.isDeclaredDead(voter)) return;
    const key = `${suspect.instanceId}/${suspect.incarnation}`;
    const voters = this.#votes.get(key) ?? new Set();
    voters.add(voter.instanceId);
    this.#votes.set(key, voters);
    if (evidence === 'refused' || voters.size >= 2) this.#bury(suspect);
  }

  #bury(member: Member): void {
    const before = this.#declaredDead.get(member.instanceId) ?? -1;
    this.#declaredDead.set(member.instanceId, Math.max(before, member.incarnation));
    this.remove(member);
  }
}
