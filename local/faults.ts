/** A fault in force. `hits` counts what it has met; `end` lifts it. */
export interface Fault {
  readonly hits: () => number;
  end(): void;
}

type Predicate<T> = (subject: T) => boolean;

interface Entry<T, V> {
  readonly matches: Predicate<T>;
  readonly value: V;
  /** How many more matches it lets pass before it applies. */
  skip: number;
  remaining: number;
  hits: number;
}

/**
 * Faults of one kind that are in force now. The first one that matches and has uses left applies; a fault put in
 * force without a count stays until it is lifted.
 */
class FaultList<T, V> {
  readonly #entries: Entry<T, V>[] = [];

  add(matches: Predicate<T>, value: V, count = Number.POSITIVE_INFINITY, skip = 0): Fault {
    const entry: Entry<T, V> = { matches, value, skip, remaining: count, hits: 0 };
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
    const entry = this.#entries.find((candidate) => {
      if (candidate.remaining <= 0 || !candidate.matches(subject)) return false;
      candidate.skip -= 1;
      return candidate.skip < 0;
    });
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
  /** Who calls: a function's name, an instance's id; '' for a person. */
  readonly session: string;
}

export type ServiceFault =
  /** An error answer; 400 `ThrottlingException` unless said otherwise. */
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly status: number }
  /** The connection is cut without an answer, before (`reset`) or after (`answerLost`) the service did the work. */
  | { readonly kind: 'reset' | 'answerLost' }
  /** The service does the work, and its caller dies before it hears of it: a function's process, a machine. */
  | { readonly kind: 'callerDies' }
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

  /**
   * Takes a whole service away: every request to it ends with a cut connection until the fault is lifted. With `events`
   * no rule delivers either: what AWS sends with its best effort is lost, what it promises to send (a change of an
   * alarm) comes afterwards. With `lambda` no function runs: invocations wait as long as Lambda keeps them.
   */
  takeAway(service: string): Fault {
    const parts: Fault[] = [this.calls.add((call) => call.service === service, { kind: 'reset' })];
    let release: () => void = () => undefined;
    if (service === 'events') {
      const promised = this.holdEvents(({ event }) => event['source'] === 'aws.cloudwatch');
      release = () => promised.release();
      parts.push(
        promised,
        this.dropEvents(() => true),
      );
    }
    if (service === 'lambda') parts.push(this.invocations.add(() => true, { kind: 'throttle' }));
    return {
      hits: () => parts.reduce((sum, { hits }) => sum + hits(), 0),
      end() {
        for (const part of parts) part.end();
        release();
      },
    };
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

  /**
   * Its caller dies right after a call of it has done its work: between two writes, before the first, after the last.
   * @param skip Matching calls that pass before.
   */
  killCallerAfter(matches: Predicate<ServiceCall>, skip = 0): Fault {
    return this.calls.add(matches, { kind: 'callerDies' }, 1, skip);
  }

  crashFunction(functionName: string, count?: number): Fault {
    return this.invocations.add((call) => call.functionName === functionName, { kind: 'crash' }, count);
  }

  throttleFunction(functionName: string, count?: number): Fault {
    return this.invocations.add((call) => call.functionName === functionName, { kind: 'throttle' }, count);
  }
}
