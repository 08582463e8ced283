import { type EnvironmentOptions, ExecutionEnvironment, type FunctionError } from './environment.ts';

type Grant = (result: ExecutionEnvironment | FunctionError) => void;

const GONE: FunctionError = {
  errorType: 'Runtime.ExitError',
  errorMessage: 'The function is gone',
  trace: [],
};

/**
 * The execution environments of one function. Lambda starts one for every invocation that finds none idle; this
 * is one machine, so they start one after another and what waits takes whichever is free first. Otherwise a busy
 * machine, where starts take longer, would be given ever more of them to do.
 */
export class EnvironmentPool {
  readonly #options: EnvironmentOptions;
  readonly #limit: number;
  readonly #idle: ExecutionEnvironment[] = [];
  readonly #all = new Set<ExecutionEnvironment>();
  readonly #waiting: Grant[] = [];
  #isStarting = false;
  #isStopped = false;

  /** @param limit Environments at most. */
  constructor(options: EnvironmentOptions, limit: number) {
    this.#options = options;
    this.#limit = limit;
  }

  /** A loaded environment, this caller's alone until `release`, or why the code does not load. */
  take(): Promise<ExecutionEnvironment | FunctionError> {
    return new Promise((resolve) => {
      if (this.#isStopped) return resolve(GONE);
      this.#waiting.push(resolve);
      this.#serve();
    });
  }

  /** Gives an environment back; one that died is forgotten. */
  release(environment: ExecutionEnvironment): void {
    if (environment.isAlive && !this.#isStopped) this.#idle.push(environment);
    else this.#all.delete(environment);
    this.#serve();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const grant of this.#waiting.splice(0)) grant(GONE);
    await Promise.all([...this.#all].map((environment) => environment.stop()));
    this.#all.clear();
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#idle.length > 0) {
      const environment = this.#idle.pop();
      // An idle function may still end itself, for example by a timer it left behind.
      if (environment?.isAlive === true) this.#waiting.shift()?.(environment);
      else if (environment !== undefined) this.#all.delete(environment);
    }
    if (this.#waiting.length > 0) void this.#startOne();
  }

  async #startOne(): Promise<void> {
    if (this.#isStarting || this.#isStopped || this.#all.size >= this.#limit) return;
    this.#isStarting = true;
    const environment = new ExecutionEnvironment(this.#options);
    this.#all.add(environment);
    const error = await environment.whenLoaded();
    this.#isStarting = false;
    if (error === undefined) return this.release(environment);
    this.#all.delete(environment);
    this.#waiting.shift()?.(error);
    this.#serve();
  }
}
