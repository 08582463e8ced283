import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Identifier } from '../../domain/identifier.ts';
import { courseIdentifier } from '../../node/compat/course-identifier.ts';
import { RpcConnection } from '../../node/rpc/rpc-connection.ts';

const PROGRAM = fileURLToPath(new URL('../../clients/bin/chord.mjs', import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** One `chord <ip> <port> [intervalMs]` as a grader runs it. */
export class CourseProcess {
  readonly ip: string;
  readonly port: number;
  readonly id: Identifier;
  readonly #child: ChildProcess;
  #connection: RpcConnection | undefined;

  private constructor(ip: string, port: number, child: ChildProcess) {
    this.ip = ip;
    this.port = port;
    this.id = courseIdentifier(ip, port);
    this.#child = child;
  }

  static async start(ip: string, port: number, intervalMs: number): Promise<CourseProcess> {
    const child = spawn(process.execPath, [PROGRAM, ip, String(port), String(intervalMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    await Promise.race([
      once(child.stdout, 'data', { signal }),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`chord ended with ${String(code)}`);
      }),
    ]);
    return new CourseProcess(ip, port, child);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get node(): unknown[] {
    return [this.ip, this.port, this.id];
  }

  async call(method: string, ...params: unknown[]): Promise<unknown> {
    if (this.#connection?.isOpen !== true) {
      this.#connection = await RpcConnection.open({
        host: this.ip,
        port: this.port,
        connectTimeoutMs: 1_000,
      });
    }
    return this.#connection.call(method, params, { timeoutMs: 5_000 });
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    if (this.isRunning) await once(this.#child, 'exit');
  }

  async exited(): Promise<number | null> {
    if (this.isRunning) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  async stop(): Promise<void> {
    this.#connection?.close();
    if (this.isRunning) await this.signal('SIGKILL');
  }
}
