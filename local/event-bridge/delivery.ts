import type { EventFault, Faults } from '../faults.ts';
import type { CloudClock } from '../service.ts';
import type { BusEvent } from './event.ts';

/** Where a rule sends its events. */
export interface Target {
  readonly id: string;
  readonly arn: string;
  /** Constant JSON text given to the target instead of the event. */
  readonly input: string | undefined;
  readonly deadLetterArn: string | undefined;
  /** Attempts after the first; EventBridge's default is 185. */
  readonly maximumRetryAttempts: number;
  /** Cloud time after which an undelivered event is given up; default a day. */
  readonly maximumEventAgeMs: number;
}

/** Why a target did not take an event. Only `retryable` ones are tried again. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
  readonly code: string;
  readonly retryable: boolean;
  constructor(code: string, message: string, retryable: boolean) {
    super(message);
    this.code = code;
    this.retryable = retryable;
  }
}

/** Hands `payload` to the target; rejects with a `DeliveryError` when it does not take it. */
export type TargetSender = (
  arn: string,
  payload: string,
  context: { readonly ruleArn: string; readonly event: BusEvent },
) => Promise<void> | void;

export interface DeliveryOptions {
  readonly clock: CloudClock;
  readonly faults: Faults;
  readonly send: TargetSender;
  /** Gives up: the message, with EventBridge's attributes, for the target's dead letter queue. */
  readonly bury: (queueArn: string, body: string, attributes: Readonly<Record<string, string>>) => void;
}

/** First wait between two attempts, in cloud ms; it doubles up to `LONGEST_BACKOFF_MS`, with jitter. */
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 300_000;

interface Parcel {
  readonly event: BusEvent;
  readonly ruleArn: string;
  readonly ruleName: string;
  readonly target: Target;
}

/** Carries matched events to their targets: at least once, in no particular order, with retries and dead letters. */
export class Deliveries {
  readonly #options: DeliveryOptions;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  start(parcel: Parcel): void {
    const { event, ruleName, target } = parcel;
    const fault = this.#options.faults.deliveries.meet({
      event: { ...event },
      ruleName,
      targetArn: target.arn,
    });
    if (fault === undefined) this.#later(parcel);
    else this.#startFaulty(parcel, fault);
  }

  #startFaulty(parcel: Parcel, fault: EventFault): void {
    if (fault.kind === 'drop') return;
    if (fault.kind === 'hold') fault.held.push(() => this.#later(parcel));
    else if (fault.kind === 'delay') {
      const { clock } = this.#options;
      clock.after(fault.delayMs * clock.timeScale, () => this.#attempt(parcel, 0, clock.now()));
    } else for (let copy = 0; copy < fault.copies; copy++) this.#later(parcel);
  }

  /** Never in the caller's own turn: who emits an event does not wait for, or fail with, who receives it. */
  #later(parcel: Parcel): void {
    const { clock } = this.#options;
    clock.after(0, () => this.#attempt(parcel, 0, clock.now()));
  }

  async #attempt(parcel: Parcel, retries: number, startedMs: number): Promise<void> {
    const { clock, send } = this.#options;
    const { event, target, ruleArn } = parcel;
    try {
      await send(target.arn, target.input ?? JSON.stringify(event), { ruleArn, event });
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      const ageMs = (clock.now() - startedMs) * clock.timeScale;
      if (!error.retryable) return this.#giveUp(parcel, error, 'NO_RETRIES', retries);
      if (retries >= target.maximumRetryAttempts) {
        return this.#giveUp(parcel, error, 'MaximumRetryAttempts', retries);
      }
      const backoffMs =
        Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** retries) * (0.5 + Math.random() / 2);
      if (ageMs + backoffMs > target.maximumEventAgeMs) {
        return this.#giveUp(parcel, error, 'MaximumEventAgeInSeconds', retries);
      }
      clock.after(backoffMs, () => this.#attempt(parcel, retries + 1, startedMs));
    }
  }

  #giveUp(
    { event, target, ruleArn }: Parcel,
    error: DeliveryError,
    condition: string,
    retries: number,
  ): void {
    if (target.deadLetterArn === undefined) return;
    this.#options.bury(target.deadLetterArn, target.input ?? JSON.stringify(event), {
      RULE_ARN: ruleArn,
      TARGET_ARN: target.arn,
      ERROR_CODE: error.code,
      ERROR_MESSAGE: error.message,
      EXHAUSTED_RETRY_CONDITION: condition,
      RETRY_ATTEMPTS: String(retries),
    });
  }
}
