import { ChordfsError } from '../../domain/errors.ts';
import { type Identifier, identifier } from '../../domain/identifier.ts';
import type { MemberPhase } from '../../domain/member.ts';
import { type RingMember, replicasOf } from '../../domain/replica-placement.ts';
import type { Ring, RingSnapshot } from '../../node/ring/ring.ts';

type Check = Parameters<Ring['beforeTakeOver']>[0];

/**
 * The ring as an omniscient test decides it: one true membership, which each node learns of when the test says so.
 * At most one node owns a key, as the real ring promises: the first of those that serve, once its own check of a
 * gained arc has passed and while it is alive.
 */
export class RingControl {
  members: RingMember[] = [];
  readonly rings = new Map<string, FakeRing>();
  #version = 0;
  /** How late each node learns of a change; 0: at once. */
  viewDelayMs: () => number = () => 0;

  ring(member: Omit<RingMember, 'phase'>): FakeRing {
    const ring = new FakeRing(this, member);
    this.rings.set(member.instanceId, ring);
    return ring;
  }

  /** Changes the true membership; every node that is alive learns of it at once unless `unaware` names it. */
  async change(members: readonly RingMember[], unaware: readonly string[] = []): Promise<void> {
    const before = this.members;
    this.members = members.filter(({ phase }) => phase !== 'left').sort((a, b) => a.id - b.id);
    this.#version++;
    for (const ring of this.rings.values()) {
      ring.noteGains(before, this.members);
      if (!unaware.includes(ring.member.instanceId)) this.#informLater(ring.member.instanceId);
    }
    await Promise.resolve();
  }

  inform(instanceId: string): void {
    this.rings.get(instanceId)?.deliver(this.members, this.#version);
  }

  #informLater(instanceId: string): void {
    const delayMs = this.viewDelayMs();
    if (delayMs === 0) this.inform(instanceId);
    else setTimeout(() => this.inform(instanceId), delayMs);
  }

  phaseOf(instanceId: string): MemberPhase | undefined {
    return this.members.find((member) => member.instanceId === instanceId)?.phase;
  }

  async setPhase(member: Omit<RingMember, 'phase'>, phase: MemberPhase): Promise<void> {
    const others = this.members.filter(({ instanceId }) => instanceId !== member.instanceId);
    await this.change([...others, { ...member, phase }]);
  }

  async remove(instanceId: string): Promise<void> {
    await this.change(this.members.filter((member) => member.instanceId !== instanceId));
  }

  trueOwner(key: Identifier): RingMember | undefined {
    return replicasOf(key, this.members).current[0];
  }
}

export class FakeRing implements Ring {
  readonly member: Omit<RingMember, 'phase'>;
  readonly #control: RingControl;
  readonly #listeners = new Set<(snapshot: RingSnapshot) => void>();
  readonly suspected: string[] = [];
  isAlive = true;
  #snapshot: RingSnapshot;
  #check: Check = async () => undefined;
  /** Arcs gained by a death whose check has not passed. */
  readonly #unchecked = new Set<{ from: Identifier; to: Identifier }>();

  constructor(control: RingControl, member: Omit<RingMember, 'phase'>) {
    this.#control = control;
    this.member = member;
    this.#snapshot = { version: 0, ringId: 'test', self: { ...member, phase: 'joining' }, members: [] };
  }

  deliver(members: readonly RingMember[], version: number): void {
    if (version <= this.#snapshot.version) return;
    const own = members.find(({ instanceId }) => instanceId === this.member.instanceId);
    const self = own ?? { ...this.member, phase: 'left' as const };
    this.#snapshot = { version, ringId: 'test', self, members };
    for (const listener of this.#listeners) listener(this.#snapshot);
  }

  /** An owner that vanished without draining leaves its arc to be checked by the one after it. */
  noteGains(before: readonly RingMember[], after: readonly RingMember[]): void {
    for (const lost of before) {
      const isGone = !after.some(({ instanceId }) => instanceId === lost.instanceId);
      if (!isGone || lost.phase !== 'active') continue;
      const serving = before.filter(({ phase }) => phase === 'active' || phase === 'draining');
      const from = serving.at(serving.indexOf(lost) - 1)?.id ?? lost.id;
      if (replicasOf(lost.id, after).current[0]?.instanceId !== this.member.instanceId) continue;
      const arc = { from, to: lost.id };
      this.#unchecked.add(arc);
      void this.#takeOver(arc);
    }
  }

  async #takeOver(arc: { from: Identifier; to: Identifier }): Promise<void> {
    while (this.isAlive) {
      try {
        await this.#check(arc, AbortSignal.timeout(5_000));
        this.#unchecked.delete(arc);
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  snapshot(): RingSnapshot {
    return this.#snapshot;
  }

  owns(key: Identifier): boolean {
    const isOwner = (members: readonly RingMember[]) =>
      replicasOf(key, members).current[0]?.instanceId === this.member.instanceId;
    const isChecked = [...this.#unchecked].every(({ from, to }) => !between(key, from, to));
    return this.isAlive && isChecked && isOwner(this.#control.members) && isOwner(this.#snapshot.members);
  }

  async lookup(key: Identifier): Promise<{ owner: RingMember }> {
    const owner = this.#control.trueOwner(key);
    if (owner === undefined) throw new ChordfsError('PEER_UNREACHABLE');
    return { owner };
  }

  suspect(member: RingMember): void {
    this.suspected.push(member.instanceId);
  }

  onChange(listener: (snapshot: RingSnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async enter(phase: MemberPhase): Promise<void> {
    if (!this.isAlive) throw new ChordfsError('NODE_NOT_READY');
    await this.#control.setPhase(this.member, phase);
  }

  beforeTakeOver(check: Check): void {
    this.#check = check;
  }
}

function between(key: Identifier, from: Identifier, to: Identifier): boolean {
  return from === to || identifier(key - from - 1) < identifier(to - from);
}
