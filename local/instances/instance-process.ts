import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** How long a node has between SIGTERM and SIGKILL, real ms: ends the whole cloud well within its ten seconds. */
const STOP_DEADLINE_MS = 5_000;
const LIFELINE_URL = new URL('./lifeline.mjs', import.meta.url).href;

/** As Node tells it: exactly one of the two is not null. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** The unpacked bundle. */
  readonly bundleDirectory: string;
  /** The instance's folder; the log file lies in it, and it is the process's home and working directory. */
  readonly directory: string;
  /** Everything the process sees, besides PATH, HOME and the time zone. */
  readonly environment: Readonly<Record<string, string>>;
  /** Called once, when the process has ended for whatever reason. */
  readonly exited: (how: ProcessEnd) => void;
}

/** The node process of one instance. */
export class InstanceProcess {
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;
  private hasEnded = false;
  private guardian: ChildProcess | undefined;

  private constructor(child: ChildProcess, exited: (how: ProcessEnd) => void) {
    this.child = child;
    this.ended = once(child, 'exit').catch(() => undefined);
    child.once('exit', (code, signal) => {
      this.hasEnded = true;
      this.dismissGuard();
      exited({ code, signal });
    });
  }

  /** @throws Error when the process cannot be started at all. */
  static async start(options: ProcessOptions): Promise<InstanceProcess> {
    const log = await open(join(options.directory, 'node.log'), 'a');
    try {
      const child = spawn(
        process.execPath,
        ['--import', LIFELINE_URL, join(options.bundleDirectory, 'main.mjs')],
        {
          cwd: options.directory,
          env: {
            PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
            HOME: options.directory,
            TZ: 'UTC',
            ...options.environment,
          },
          // The last one is the lifeline: its far end closes when this process is gone, see lifeline.mjs.
          stdio: ['ignore', log.fd, log.fd, 'pipe'],
        },
      );
      const process_ = new InstanceProcess(child, options.exited);
      await once(child, 'spawn');
      return process_;
    } finally {
      await log.close();
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    if (this.hasEnded) return;
    this.child.kill(signal);
    if (signal === 'SIGSTOP') this.guard();
    else this.dismissGuard();
  }

  /** SIGTERM, then SIGKILL after the deadline. Resolves when the process is gone. Safe to repeat. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.child.kill('SIGTERM');
    // A frozen process hears SIGTERM only once it runs again.
    this.signal('SIGCONT');
    const deadline = setTimeout(() => this.child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await this.ended;
    clearTimeout(deadline);
  }

  /** A frozen process cannot see its lifeline break, so a shell watches in its place until it is thawed. */
  private guard(): void {
    if (this.guardian !== undefined || this.child.pid === undefined) return;
    this.guardian = spawn('/bin/sh', ['-c', 'read -r _; kill -KILL "$1"', 'sh', String(this.child.pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.guardian.on('error', () => undefined);
  }

  private dismissGuard(): void {
    this.guardian?.kill('SIGKILL');
    this.guardian = undefined;
  }
}
