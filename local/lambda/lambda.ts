import { randomUUID } from 'node:crypto';
import { AwsError, type CloudClock } from '../service.ts';
import type { Outcome } from './environment.ts';
import { type FunctionConfiguration, type FunctionOptions, LambdaFunction } from './function.ts';

/** How asynchronous invocations of one function are retried and where they end. */
interface AsyncConfiguration {
  /** 0 to 2; Lambda's default is 2. */
  readonly maximumRetryAttempts: number;
  /** Cloud ms; Lambda's default is six hours. */
  readonly maximumEventAgeMs: number;
  readonly onFailureArn: string | undefined;
  readonly onSuccessArn: string | undefined;
  /** `DeadLetterConfig`: gets the bare event with three attributes, unlike a destination. */
  readonly deadLetterArn: string | undefined;
}

/** `AWS::Lambda::Permission`: who besides this account's own principals may invoke. */
interface Permission {
  readonly functionName: string;
  readonly principal: string;
  readonly sourceArn: string | undefined;
}

interface LambdaOptions {
  readonly clock: CloudClock;
  /** Sends to a queue, a bus or a function by ARN. */
  readonly sendTo: (arn: string, body: string, attributes: Readonly<Record<string, string>>) => void;
  /** Whether a function's role lets Lambda send to a queue, a bus or a function. */
  readonly mayUse: (configuration: FunctionConfiguration, service: string, arn: string) => boolean;
  /** One line for people when an event is given up. */
  readonly log: (line: string) => void;
}

const DEFAULT_ASYNC: AsyncConfiguration = {
  maximumRetryAttempts: 2,
  maximumEventAgeMs: 6 * 60 * 60 * 1000,
  onFailureArn: undefined,
  onSuccessArn: undefined,
  deadLetterArn: undefined,
};
/** Lambda waits one minute before the first retry, two before the second (cloud time). */
const RETRY_WAIT_MS = [60_000, 120_000];
/** A throttled event waits in the queue without using up a retry: from one second, doubling, to five minutes. */
const LONGEST_THROTTLE_WAIT_MS = 300_000;

interface AsyncEvent {
  readonly payload: string;
  readonly requestId: string;
  readonly startedMs: number;
}

/** The functions of the cloud, by name. */
export class Lambda {
  readonly #options: LambdaOptions;
  readonly #functions = new Map<string, LambdaFunction>();
  readonly #async = new Map<string, AsyncConfiguration>();
  readonly #permissions = new Map<string, Permission>();
  #isStopped = false;

  constructor(options: LambdaOptions) {
    this.#options = options;
  }

  /** Creates the function, or replaces it with fresh environments. */
  async putFunction(options: FunctionOptions): Promise<void> {
    const { functionName } = options.configuration;
    await this.#functions.get(functionName)?.stop();
    this.#functions.set(functionName, new LambdaFunction(options));
  }

  async deleteFunction(functionName: string): Promise<void> {
    await this.#functions.get(functionName)?.stop();
    this.#functions.delete(functionName);
  }

  configureAsync(functionName: string, configuration: Partial<AsyncConfiguration>): void {
    const current = this.#async.get(functionName) ?? DEFAULT_ASYNC;
    this.#async.set(functionName, { ...current, ...configuration });
  }

  putPermission(id: string, permission: Permission): void {
    this.#permissions.set(id, permission);
  }

  deletePermission(id: string): void {
    this.#permissions.delete(id);
  }

  permissionIds(): readonly string[] {
    return [...this.#permissions.keys()];
  }

  /** Whether a service acting for `sourceArn` may invoke the function. */
  isPermitted(functionNameOrArn: string, principal: string, sourceArn: string): boolean {
    const name = nameOf(functionNameOrArn);
    return [...this.#permissions.values()].some(
      (permission) =>
        nameOf(permission.functionName) === name &&
        permission.principal === principal &&
        (permission.sourceArn === undefined || arnMatches(permission.sourceArn, sourceArn)),
    );
  }

  functions(): readonly LambdaFunction[] {
    return [...this.#functions.values()];
  }

  /** @throws AwsError `ResourceNotFoundException` */
  find(functionNameOrArn: string): LambdaFunction {
    const found = this.#functions.get(nameOf(functionNameOrArn));
    if (found === undefined) {
      throw new AwsError('ResourceNotFoundException', `Function not found: ${functionNameOrArn}`, 404);
    }
    return found;
  }

  /** Takes the event and runs it later: what fails from here on is Lambda's to retry. */
  invokeAsync(functionNameOrArn: string, payload: string): string {
    const lambdaFunction = this.find(functionNameOrArn);
    const event = { payload, requestId: randomUUID(), startedMs: this.#options.clock.now() };
    this.#options.clock.after(0, () => this.#attempt(lambdaFunction.configuration.functionName, event, 0, 0));
    return event.requestId;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([...this.#functions.values()].map((lambdaFunction) => lambdaFunction.stop()));
  }

  async #attempt(
    functionName: string,
    event: AsyncEvent,
    failures: number,
    throttles: number,
  ): Promise<void> {
    const lambdaFunction = this.#functions.get(functionName);
    if (lambdaFunction === undefined) return;
    const { clock } = this.#options;
    const configuration = this.#async.get(functionName) ?? DEFAULT_ASYNC;
    let outcome: Outcome;
    try {
      outcome = await lambdaFunction.invoke(event.payload);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const waitMs = Math.min(LONGEST_THROTTLE_WAIT_MS, 1_000 * 2 ** throttles);
      if (this.#ageMs(event) + waitMs > configuration.maximumEventAgeMs) {
        const reason = { errorType: error.code, errorMessage: error.message, trace: [] };
        this.#finish(lambdaFunction, event, { kind: 'threw', error: reason }, 'EventAgeExceeded', failures);
        return;
      }
      clock.after(waitMs, () => this.#attempt(functionName, event, failures, throttles + 1));
      return;
    }
    if (this.#isStopped) return;
    if (outcome.kind === 'returned') {
      this.#finish(lambdaFunction, event, outcome, 'Success', failures + 1);
      return;
    }
    const waitMs = RETRY_WAIT_MS[failures] ?? LONGEST_THROTTLE_WAIT_MS;
    const ageMs = this.#ageMs(event);
    if (failures >= configuration.maximumRetryAttempts) {
      this.#finish(lambdaFunction, event, outcome, 'RetriesExhausted', failures + 1);
    } else if (ageMs + waitMs > configuration.maximumEventAgeMs) {
      this.#finish(lambdaFunction, event, outcome, 'EventAgeExceeded', failures + 1);
    } else clock.after(waitMs, () => this.#attempt(functionName, event, failures + 1, 0));
  }

  #ageMs({ startedMs }: AsyncEvent): number {
    const { clock } = this.#options;
    return (clock.now() - startedMs) * clock.timeScale;
  }

  #finish(
    { configuration }: LambdaFunction,
    { payload, requestId }: AsyncEvent,
    outcome: Outcome,
    condition: 'Success' | 'RetriesExhausted' | 'EventAgeExceeded',
    approximateInvokeCount: number,
  ): void {
    const { functionName, functionArn } = configuration;
    const { onFailureArn, onSuccessArn, deadLetterArn } = this.#async.get(functionName) ?? DEFAULT_ASYNC;
    const isSuccess = outcome.kind === 'returned';
    if (!isSuccess) this.#options.log(`${functionName} gave an event up: ${outcome.error.errorMessage}`);
    const destination = isSuccess ? onSuccessArn : onFailureArn;
    if (destination !== undefined) {
      const record = {
        version: '1.0',
        timestamp: new Date(this.#options.clock.now()).toISOString(),
        requestContext: {
          requestId,
          functionArn: `${functionArn}:$LATEST`,
          condition,
          approximateInvokeCount,
        },
        requestPayload: JSON.parse(payload),
        responseContext: {
          statusCode: 200,
          executedVersion: '$LATEST',
          ...(isSuccess ? {} : { functionError: 'Unhandled' }),
        },
        responsePayload: isSuccess ? JSON.parse(outcome.payload) : outcome.error,
      };
      this.#send(configuration, destination, JSON.stringify(record), {});
    }
    if (!isSuccess && deadLetterArn !== undefined) {
      const attributes = { RequestID: requestId, ErrorCode: '200', ErrorMessage: outcome.error.errorMessage };
      this.#send(configuration, deadLetterArn, payload, attributes);
    }
  }

  /** With the function's own role, not with a policy of the receiver. */
  #send(
    configuration: FunctionConfiguration,
    arn: string,
    body: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    const { sendTo, mayUse, log } = this.#options;
    if (mayUse(configuration, arn.split(':')[2] ?? '', arn)) sendTo(arn, body, attributes);
    else log(`the role of ${configuration.functionName} does not let Lambda send to ${arn}`);
  }
}

function nameOf(functionNameOrArn: string): string {
  const [, name] = /:function:([^:]+)/.exec(functionNameOrArn) ?? [];
  return name ?? functionNameOrArn;
}

/** `ArnLike`: `*` and `?` are wildcards. */
function arnMatches(pattern: string, arn: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(arn);
}
