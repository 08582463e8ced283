import { randomUUID } from 'node:crypto';
import type { Faults } from '../faults.ts';
import { AwsError } from '../service.ts';
import { ExecutionEnvironment, type InvocationContext, type Outcome } from './environment.ts';

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
}

export interface FunctionOptions {
  readonly configuration: FunctionConfiguration;
  readonly faults: Faults;
  readonly log: (logGroupName: string, logStreamName: string, line: string) => void;
}

/** Environments of one function at most, unless it reserves fewer: this is one machine, not a region. */
const MAX_ENVIRONMENTS = 10;

/** One deployed function with its execution environments. */
export class LambdaFunction {
  readonly configuration: FunctionConfiguration;
  readonly #options: FunctionOptions;
  readonly #logStreamName =
    `${new Date().toISOString().slice(0, 10).replaceAll('-', '/')}/[$LATEST]${randomUUID().replaceAll('-', '')}`;
  readonly #idle: ExecutionEnvironment[] = [];
  readonly #all = new Set<ExecutionEnvironment>();
  #isStopped = false;

  constructor(options: FunctionOptions) {
    this.#options = options;
    this.configuration = options.configuration;
  }

  /**
   * Runs the handler once. @throws AwsError `TooManyRequestsException` when no environment is free.
   * A failing handler is an outcome, not an error.
   */
  async invoke(payload: string): Promise<Outcome> {
    const { configuration, faults } = this.#options;
    const { functionName } = configuration;
    const fault = faults.invocations.meet({ functionName, event: JSON.parse(payload) });
    if (fault?.kind === 'throttle') throw throttled();
    const environment = this.#take();
    const context = this.#context(randomUUID());
    this.#log(`START RequestId: ${context.awsRequestId} Version: $LATEST`);
    const running = environment.invoke(payload, context, configuration.timeoutMs);
    if (fault?.kind === 'crash') void environment.stop();
    const outcome = await running;
    if (outcome.kind === 'crashed') this.#log(`${context.awsRequestId} ${outcome.error.errorMessage}`);
    this.#log(`END RequestId: ${context.awsRequestId}`);
    if (environment.isAlive && !this.#isStopped) this.#idle.push(environment);
    else {
      this.#all.delete(environment);
      await environment.stop();
    }
    return outcome;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all([...this.#all].map((environment) => environment.stop()));
    this.#all.clear();
  }

  /** A warm environment, or a new one while the concurrency allows. */
  #take(): ExecutionEnvironment {
    const { codeDirectory, handler, environment, memoryMiB, reservedConcurrency } = this.configuration;
    const warm = this.#idle.pop();
    if (warm?.isAlive === true) return warm;
    if (warm !== undefined) this.#all.delete(warm);
    if (
      this.#isStopped ||
      this.#all.size >= Math.min(reservedConcurrency ?? MAX_ENVIRONMENTS, MAX_ENVIRONMENTS)
    ) {
      throw throttled();
    }
    const onLine = (line: string): void => this.#log(line);
    const cold = new ExecutionEnvironment({ codeDirectory, handler, environment, memoryMiB, onLine });
    this.#all.add(cold);
    return cold;
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

function throttled(): AwsError {
  return new AwsError('TooManyRequestsException', 'Rate Exceeded.', 429);
}
