import { randomUUID } from 'node:crypto';
import type { Faults } from '../faults.ts';
import { AwsError } from '../service.ts';
import { ExecutionEnvironment, type InvocationContext, type Outcome } from './environment.ts';
import { EnvironmentPool } from './environment-pool.ts';

export interface FunctionConfiguration {
  readonly functionName: string;
  readonly functionArn: string;
  readonly handler: string;
  readonly runtime: string;
  readonly codeDirectory: string;
  readonly memoryMiB: number;
  /** Real ms: the code runs in real time whatever the cloud's clock does. */
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly reservedConcurrency: number | undefined;
  readonly roleArn: string;
  readonly logGroupName: string;
  /** Ms since the epoch. */
  readonly modifiedMs: number;
}

export interface FunctionOptions {
  readonly configuration: FunctionConfiguration;
  readonly faults: Faults;
  readonly log: (logGroupName: string, logStreamName: string, line: string) => void;
}

/** Environments of one function at most, unless it reserves fewer: this is one machine, not a region. */
const MAX_ENVIRONMENTS = 4;

/** One deployed function with its execution environments. */
export class LambdaFunction {
  readonly configuration: FunctionConfiguration;
  readonly #options: FunctionOptions;
  readonly #pool: EnvironmentPool;
  readonly #logStreamName = logStreamName();
  readonly #busy = new Set<ExecutionEnvironment>();
  #invocationCount = 0;

  constructor(options: FunctionOptions) {
    this.#options = options;
    this.configuration = options.configuration;
    const { codeDirectory, handler, environment, memoryMiB, reservedConcurrency } = options.configuration;
    const onLine = (line: string): void => this.#log(line);
    this.#pool = new EnvironmentPool(
      { codeDirectory, handler, environment, memoryMiB, onLine },
      Math.min(reservedConcurrency ?? MAX_ENVIRONMENTS, MAX_ENVIRONMENTS),
    );
  }

  /**
   * Runs the handler once; waits while all environments are busy. A failing handler is an outcome, not an error.
   * @throws AwsError `TooManyRequestsException` when the reserved concurrency is used up.
   */
  async invoke(payload: string): Promise<Outcome> {
    const { functionName, reservedConcurrency } = this.configuration;
    const fault = this.#options.faults.invocations.meet({ functionName, event: JSON.parse(payload) });
    const isFull = reservedConcurrency !== undefined && this.#invocationCount >= reservedConcurrency;
    if (fault?.kind === 'throttle' || isFull) throw throttled();
    this.#invocationCount += 1;
    try {
      const environment = await this.#pool.take();
      if (!(environment instanceof ExecutionEnvironment)) return { kind: 'crashed', error: environment };
      return await this.#run(environment, payload, fault?.kind === 'crash');
    } finally {
      this.#invocationCount -= 1;
    }
  }

  /** Ends whatever runs now, in the middle of what it does. */
  async crash(): Promise<void> {
    await Promise.all([...this.#busy].map((environment) => environment.stop()));
  }

  stop(): Promise<void> {
    return this.#pool.stop();
  }

  async #run(environment: ExecutionEnvironment, payload: string, mustCrash: boolean): Promise<Outcome> {
    const context = this.#context(randomUUID());
    this.#log(`START RequestId: ${context.awsRequestId} Version: $LATEST`);
    this.#busy.add(environment);
    const running = environment.invoke(payload, context, this.configuration.timeoutMs);
    if (mustCrash) void environment.stop();
    const outcome = await running;
    this.#busy.delete(environment);
    if (outcome.kind === 'crashed') this.#log(`${context.awsRequestId} ${outcome.error.errorMessage}`);
    this.#log(`END RequestId: ${context.awsRequestId}`);
    this.#pool.release(environment);
    return outcome;
  }

  #context(awsRequestId: string): InvocationContext {
    const { functionName, functionArn, memoryMiB, logGroupName } = this.configuration;
    return {
      awsRequestId,
      functionName,
      functionVersion: '$LATEST',
      invokedFunctionArn: functionArn,
      memoryLimitInMB: String(memoryMiB),
      logGroupName,
      logStreamName: this.#logStreamName,
      traceId: `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${awsRequestId.replaceAll('-', '').slice(0, 24)}`,
    };
  }

  #log(line: string): void {
    this.#options.log(this.configuration.logGroupName, this.#logStreamName, line);
  }
}

function logStreamName(): string {
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '/');
  return `${day}/[$LATEST]${randomUUID().replaceAll('-', '')}`;
}

function throttled(): AwsError {
  return new AwsError('TooManyRequestsException', 'Rate Exceeded.', 429);
}
