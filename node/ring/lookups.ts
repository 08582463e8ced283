import { setTimeout as pause } from 'node:timers/promises';
import { ChordfsError } from '../../domain/errors.ts';
import { formatIdentifier, type Identifier } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { Command, LookupOutcome } from '../chord/event.ts';

export interface LookupCounters {
  readonly lookups: number;
  readonly hops: number;
  readonly timeouts: number;
  readonly unconfirmed: number;
}

const RETRY_MIN_MS = 20;
const RETRY_MAX_MS = 250;
/** Lookups under way at once. More: the caller is told at once instead of waiting in a growing line. */
const MAX_OPEN = 8_192;

/** Lookups on their way through the core, repeated while nobody confirms and the caller still waits. */
export class Lookups {
  readonly #command: (command: Command) => void;
  readonly #open = new Map<number, (outcome: LookupOutcome) => void>();
  readonly #counters = { lookups: 0, hops: 0, timeouts: 0, unconfirmed: 0 };
  #nextId = 0;
  #isStopped = false;

  constructor(command: (command: Command) => void) {
    this.#command = command;
  }

  counters(): LookupCounters {
    return { ...this.#counters };
  }

  /** @throws ChordfsError `DEADLINE_EXCEEDED` when the signal fires before anybody confirmed. */
  async find(key: Identifier, signal: AbortSignal): Promise<RingMember> {
    this.#counters.lookups += 1;
    for (let pauseMs = RETRY_MIN_MS; ; pauseMs = Math.min(RETRY_MAX_MS, 2 * pauseMs)) {
      const outcome = await this.#once(key, signal);
      this.#counters.hops += outcome.hops;
      this.#counters.timeouts += outcome.timeouts;
      if (outcome.kind === 'found') return outcome.owner;
      this.#counters.unconfirmed += 1;
      await pause(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  ended(lookupId: number, outcome: LookupOutcome): void {
    this.#open.get(lookupId)?.(outcome);
  }

  /** The core they ran in is gone; each is asked again of the next one. */
  interrupt(): void {
    for (const end of [...this.#open.values()]) end({ kind: 'unconfirmed', hops: 0, timeouts: 0 });
  }

  /** Nobody is asked any more: all that wait are told. */
  stop(): void {
    this.#isStopped = true;
    this.interrupt();
  }

  #once(key: Identifier, signal: AbortSignal): Promise<LookupOutcome> {
    return new Promise((resolve, reject) => {
      const details = { key: formatIdentifier(key) };
      if (signal.aborted || this.#isStopped) return reject(new ChordfsError('DEADLINE_EXCEEDED', details));
      if (this.#open.size >= MAX_OPEN) {
        return reject(new ChordfsError('DEADLINE_EXCEEDED', { ...details, reason: 'too many lookups' }));
      }
      this.#nextId += 1;
      const lookupId = this.#nextId;
      const abandon = (): void => {
        this.#open.delete(lookupId);
        this.#command({ kind: 'abandonLookup', lookupId });
        reject(new ChordfsError('DEADLINE_EXCEEDED', details));
      };
      signal.addEventListener('abort', abandon, { once: true });
      this.#open.set(lookupId, (outcome) => {
        this.#open.delete(lookupId);
        signal.removeEventListener('abort', abandon);
        resolve(outcome);
      });
      this.#command({ kind: 'lookup', lookupId, key });
    });
  }
}
