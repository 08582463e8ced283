import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

export interface FunctionError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace: readonly string[];
}

/** How one invocation ended. `crashed` covers a thread that died, ran out of memory or of time. */
export type Outcome =
  | { readonly kind: 'returned'; readonly payload: string }
  | { readonly kind: 'threw' | 'crashed'; readonly error: FunctionError };

export interface EnvironmentOptions {
  readonly codeDirectory: string;
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly memoryMiB: number;
  /** Each line that the function writes to stdout or stderr. */
  readonly onLine: (line: string) => void;
}

export interface InvocationContext {
  readonly awsRequestId: string;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly invokedFunctionArn: string;
  readonly memoryLimitInMB: string;
  readonly logGroupName: string;
  readonly logStreamName: string;
  readonly traceId: string;
}

const errorSchema = z.object({ errorType: z.string(), errorMessage: z.string(), trace: z.array(z.string()) });
/** The thread runs the function's code, so what it posts is checked like any input from outside. */
const messageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('failedToLoad'), error: errorSchema }),
  z.object({ kind: z.literal('returned'), id: z.string(), payload: z.string() }),
  z.object({ kind: z.literal('threw'), id: z.string(), error: errorSchema }),
]);

const RUNTIME = new URL('./runtime.mjs', import.meta.url);

function exitError(errorMessage: string): FunctionError {
  return { errorType: 'Runtime.ExitError', errorMessage, trace: [] };
}

/**
 * One execution environment: a worker thread with its own globals and environment variables. It serves one
 * invocation at a time, is reused while it lives, and dies with this process, however that ends.
 */
export class ExecutionEnvironment {
  readonly #worker: Worker;
  readonly #exited: Promise<unknown>;
  readonly #loaded: Promise<FunctionError | undefined>;
  #finishLoading: (error?: FunctionError) => void = () => {};
  #finish: ((outcome: Outcome) => void) | undefined;
  #isAlive = true;

  constructor(options: EnvironmentOptions) {
    this.#loaded = new Promise((resolve) => {
      this.#finishLoading = resolve;
    });
    this.#worker = new Worker(RUNTIME, {
      workerData: { codeDirectory: options.codeDirectory, handler: options.handler },
      env: { ...options.environment },
      resourceLimits: { maxOldGenerationSizeMb: options.memoryMiB },
      stdout: true,
      stderr: true,
    });
    this.#exited = once(this.#worker, 'exit').catch(() => undefined);
    for (const stream of [this.#worker.stdout, this.#worker.stderr]) forwardLines(stream, options.onLine);
    this.#worker.on('message', (message: unknown) => this.#receive(message));
    this.#worker.on('error', (error: unknown) => {
      const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
      this.#die({ errorType: name, errorMessage: message, trace: [] });
    });
    this.#worker.on('exit', (code) => this.#die(exitError(`Runtime exited with error: exit status ${code}`)));
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Resolves when the function's code has run once and its handler is there, or to why it never will be. */
  whenLoaded(): Promise<FunctionError | undefined> {
    return this.#loaded;
  }

  /** Never rejects. At the deadline the thread is ended in the middle of whatever it does, as Lambda does it. */
  async invoke(payload: string, context: InvocationContext, timeoutMs: number): Promise<Outcome> {
    const done = new Promise<Outcome>((resolve) => {
      this.#finish = resolve;
    });
    const deadlineMs = Date.now() + timeoutMs;
    this.#worker.postMessage({ id: context.awsRequestId, payload, context, deadlineMs });
    const timer = setTimeout(() => {
      const seconds = (timeoutMs / 1000).toFixed(2);
      const errorMessage = `${context.awsRequestId} Task timed out after ${seconds} seconds`;
      this.#die({ errorType: 'Sandbox.Timedout', errorMessage, trace: [] });
      void this.stop();
    }, timeoutMs);
    if (!this.#isAlive) this.#end({ kind: 'crashed', error: exitError('Runtime exited') });
    const outcome = await done;
    clearTimeout(timer);
    return outcome;
  }

  /** Ends the thread at once; an invocation under way counts as crashed. */
  async stop(): Promise<void> {
    this.#die(exitError('Runtime exited without providing a reason'));
    await this.#worker.terminate();
    await this.#exited;
  }

  #receive(message: unknown): void {
    const parsed = messageSchema.safeParse(message);
    if (!parsed.success) return;
    const posted = parsed.data;
    if (posted.kind === 'ready') this.#finishLoading();
    else if (posted.kind === 'returned') this.#end({ kind: 'returned', payload: posted.payload });
    else if (posted.kind === 'threw') this.#end({ kind: 'threw', error: posted.error });
    else {
      this.#die(posted.error);
      void this.#worker.terminate();
    }
  }

  #end(outcome: Outcome): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.(outcome);
  }

  #die(error: FunctionError): void {
    this.#isAlive = false;
    this.#finishLoading(error);
    this.#end({ kind: 'crashed', error });
  }
}

function forwardLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
