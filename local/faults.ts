/** A fault in force. `hits` counts what it has met; `end` lifts it. */
interface Fault {
  readonly hits: () => number;
  end(): void;
}

type Predicate<T> = (subject: T) => boolean;

interface Entry<T, V> {
  readonly matches: Predicate<T>;
  readonly value: V;
  remaining: number;
  hits: number;
}

/**
 * Faults of one kind that are in force now. The first one that matches and has uses left applies; a fault put in
 * force without a count stays until it is lifted.
 */
class FaultList<T, V> {
  readonly #entries: Entry<T, V>[] = [];

  add(matches: Predicate<T>, value: V, count = Number.POSITIVE_INFINITY): Fault {
    const entry: Entry<T, V> = { matches, value, remaining: count, hits: 0 };
    this.#entries.push(entry);
    return {
      hits: () => entry.hits,
      end: () => {
        const index = this.#entries.indexOf(entry);
        if (index !== -1) this.#entries.splice(index, 1);
      },
    };
  }

  /** The fault that meets `subject`, used up by one; undefined when none does. */
  meet(subject: T): V | undefined {
    const entry = this.#entries.find(({ matches, remaining }) => remaining > 0 && matches(subject));
    if (entry === undefined) return undefined;
    entry.remaining -= 1;
    entry.hits += 1;
    return entry.value;
  }
}

/** What can be asked to go wrong with an event on its way to a target. */
export type EventFault =
  | { readonly kind: 'drop' }
  | { readonly kind: 'duplicate'; readonly copies: number }
  /** Real ms. */
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** Kept until `release` is called: the way to bring events out of order. */
  | { readonly kind: 'hold'; readonly held: (() => void)[] };

/** One event about to be given to one target of one rule. */
interface Delivery {
  readonly event: Readonly<Record<string, unknown>>;
  readonly ruleName: string;
  readonly targetArn: string;
}

/** One request at the endpoint, before any service has seen it. */
interface ServiceCall {
  /** As in the credential scope: `dynamodb`, `events`, ... */
  readonly service: string;
  /** As in `X-Amz-Target` or the `Action` of the query; '' where the protocol names it in the path. */
  readonly operation: string;
  readonly accessKeyId: string;
}

export type ServiceFault =
  /** An error answer; 400 `ThrottlingException` unless said otherwise. */
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly status: number }
  /** The connection is cut without an answer, before (`reset`) or after (`answerLost`) the service did the work. */
  | { readonly kind: 'reset' | 'answerLost' }
  /** Real ms. */
  | { readonly kind: 'delay'; readonly delayMs: number };

interface Invocation {
  readonly functionName: string;
  readonly event: unknown;
}

/** `crash`: the process dies in the middle. `throttle`: TooManyRequestsException before it starts. */
type InvocationFault = { readonly kind: 'crash' | 'throttle' };

/** Everything that tests may break in the local cloud, but for the machines themselves (see `ComputeFaults`). */
export class Faults {
  readonly deliveries = new FaultList<Delivery, EventFault>();
  readonly calls = new FaultList<ServiceCall, ServiceFault>();
  readonly invocations = new FaultList<Invocation, InvocationFault>();

  dropEvents(matches: Predicate<Delivery>, count?: number): Fault {
    return this.deliveries.add(matches, { kind: 'drop' }, count);
  }

  duplicateEvents(matches: Predicate<Delivery>, copies: number, count?: number): Fault {
    return this.deliveries.add(matches, { kind: 'duplicate', copies }, count);
  }

  delayEvents(matches: Predicate<Delivery>, delayMs: number, count?: number): Fault {
    return this.deliveries.add(matches, { kind: 'delay', delayMs }, count);
  }

  /** Keeps matching events back; `release` lets them go in the order given by `reorder` (default: as they came). */
  holdEvents(
    matches: Predicate<Delivery>,
    count?: number,
  ): Fault & { release(reorder?: (held: readonly (() => void)[]) => readonly (() => void)[]): void } {
    const held: (() => void)[] = [];
    const fault = this.deliveries.add(matches, { kind: 'hold', held }, count);
    return {
      ...fault,
      release(reorder = (kept) => kept) {
        fault.end();
        for (const deliver of reorder(held.splice(0))) deliver();
      },
    };
  }

  /** Takes a whole service away: every request to it ends with a cut connection until the fault is lifted. */
  takeAway(service: string): Fault {
    return this.calls.add((call) => call.service === service, { kind: 'reset' });
  }

  throttle(matches: Predicate<ServiceCall>, count?: number): Fault {
    return this.calls.add(
      matches,
      { kind: 'error', code: 'ThrottlingException', message: 'Rate exceeded', status: 400 },
      count,
    );
  }

  /** The work is done, the answer never arrives: what a client that retries must survive. */
  loseAnswers(matches: Predicate<ServiceCall>, count?: number): Fault {
    return this.calls.add(matches, { kind: 'answerLost' }, count);
  }

  crashFunction(functionName: string, count?: number): Fault {
    return this.invocations.add((call) => call.functionName === functionName, { kind: 'crash' }, count);
  }

  throttleFunction(functionName: string, count?: number): Fault {
    return this.invocations.add((call) => call.functionName === functionName, { kind: 'throttle' }, count);
  }
}
