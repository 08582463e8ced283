import type { Member } from '../../domain/member.ts';
import type { ChordEffect, ChordEvent, RegistryAnswer, RegistryRequest } from '../chord/event.ts';
import type { AdmissionLease, Registry } from './registry.ts';

/** A table that takes longer is treated as away; the core asks again in its own time. */
const REGISTRY_TIMEOUT_MS = 5_000;

/** Puts the core's questions to the member table, for one life of this node. */
export class RegistryPerformer {
  readonly #registry: Registry | undefined;
  readonly #self: () => Member;
  /** With the life that took it: the newcomer may have to go on as a later one, and the table knows the first. */
  #held: { readonly lease: AdmissionLease; readonly holder: Member } | undefined;

  constructor(registry: Registry | undefined, self: () => Member) {
    this.#registry = registry;
    this.#self = self;
  }

  /** Performs one `askRegistry` effect. Never throws: an error is `unavailable`. */
  async perform({ requestId, request }: Extract<ChordEffect, { kind: 'askRegistry' }>): Promise<ChordEvent> {
    let answer: RegistryAnswer = { kind: 'unavailable' };
    try {
      if (this.#registry !== undefined) answer = await this.#ask(this.#registry, request);
    } catch {
      // Away; `unavailable` says so.
    }
    return { kind: 'registryAnswered', requestId, answer };
  }

  async #ask(registry: Registry, request: RegistryRequest): Promise<RegistryAnswer> {
    const self = this.#self();
    const signal = AbortSignal.timeout(REGISTRY_TIMEOUT_MS);
    switch (request.kind) {
      case 'members':
        return { kind: 'members', members: await registry.liveMembers(signal) };
      case 'acquireAdmission':
        return this.#acquire(registry, signal);
      case 'releaseAdmission': {
        const held = this.#held;
        this.#held = undefined;
        if (held !== undefined) await registry.releaseAdmission(held.holder, held.lease, signal);
        return { kind: 'done' };
      }
      case 'arbitrate': {
        const outcome = await registry.arbitrate({ claimant: self, against: request.against }, signal);
        return { kind: 'arbitrated', isWon: outcome === 'won' };
      }
      case 'voteDead':
        await registry.voteDead({ suspect: request.member, voter: self, evidence: request.evidence }, signal);
        return { kind: 'done' };
    }
  }

  /** Asked again by the core to renew: with the lease it holds, if it holds one. */
  async #acquire(registry: Registry, signal: AbortSignal): Promise<RegistryAnswer> {
    const held = this.#held;
    const holder = held?.holder ?? this.#self();
    const lease =
      held === undefined
        ? await registry.acquireAdmission(holder, signal)
        : await registry.renewAdmission(holder, held.lease, signal);
    this.#held = lease === undefined ? undefined : { lease, holder };
    return lease === undefined ? { kind: 'admissionBusy' } : { kind: 'admissionGranted', fence: lease.fence };
  }
}
