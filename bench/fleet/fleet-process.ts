import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { FleetOrder, NodeSpec } from './node-spec.ts';

/** Of a deployed node: `resources/user-data.yaml` says why. */
export const NODE_SETTINGS = {
  UV_THREADPOOL_SIZE: '16',
  MALLOC_ARENA_MAX: '2',
  NODE_OPTIONS: '--max-semi-space-size=2',
};

/** One node of the fleet as a process, which may be ended and started again on the same disk. */
export class FleetProcess {
  readonly spec: NodeSpec;
  readonly logPath: string;
  /** Grows whenever this process stops answering for a while or for good: a request across it proves nothing. */
  disruptions = 0;
  isFrozen = false;
  /** It has been told to leave: it serves on until it has, then it refuses. */
  isLeaving = false;
  readonly #program: string;
  #child: ChildProcess | undefined;

  constructor(spec: NodeSpec, options: { readonly program: string; readonly logPath: string }) {
    this.spec = spec;
    this.#program = options.program;
    this.logPath = options.logPath;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get isAnswering(): boolean {
    return this.isRunning && !this.isFrozen;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  start(): void {
    this.isLeaving = false;
    this.isFrozen = false;
    const log = openSync(this.logPath, 'a');
    this.#child = fork(this.#program, [JSON.stringify(this.spec)], {
      stdio: ['ignore', log, log, 'ipc'],
      execArgv: [],
      env: { ...process.env, ...NODE_SETTINGS },
    });
    closeSync(log);
  }

  async kill(): Promise<void> {
    this.disruptions++;
    this.#child?.kill('SIGKILL');
    this.isFrozen = false;
    await this.ended();
  }

  freeze(): void {
    this.disruptions++;
    this.isFrozen = true;
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.disruptions++;
    this.isFrozen = false;
    this.#child?.kill('SIGCONT');
  }

  /** Drains and ends by itself; resolves to its exit code. */
  async leave(): Promise<number | null> {
    this.isLeaving = true;
    this.#child?.send('leave' satisfies FleetOrder);
    await this.ended();
    return this.#child?.exitCode ?? null;
  }

  async ended(): Promise<void> {
    if (this.#child !== undefined && this.isRunning) await once(this.#child, 'exit');
  }
}
