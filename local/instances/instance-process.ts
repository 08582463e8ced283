import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { CALM, type Weather } from './weather.ts';

/** How long a node has between SIGTERM and SIGKILL, real ms: ends the whole cloud well within its ten seconds. */
const STOP_DEADLINE_MS = 5_000;
const LIFELINE_URL = new URL('./lifeline.mjs', import.meta.url).href;
const LIFELINE_FD = 3;
/** Taken out of the environment again before the product's code runs. */
const WEATHER_VARIABLE = 'CHORDFS_LOCAL_WEATHER';

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
  /** In force from the first moment; default: calm. */
  readonly weather?: Weather;
  /** Called once, when the process has ended for whatever reason. */
  readonly exited: (how: ProcessEnd) => void;
}

/** The node process of one instance. */
export class InstanceProcess {
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;
  private hasEnded = false;
  private guardian: ChildProcess | undefined;
  private readonly lifeline: Writable | undefined;

  private constructor(child: ChildProcess, exited: (how: ProcessEnd) => void) {
    this.child = child;
    const lifeline = child.stdio[LIFELINE_FD];
    this.lifeline = lifeline instanceof Writable ? lifeline : undefined;
    // A process that has just ended takes no more news.
    this.lifeline?.on('error', () => undefined);
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
            [WEATHER_VARIABLE]: JSON.stringify(options.weather ?? CALM),
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

  setWeather(weather: Weather): void {
    if (!this.hasEnded) this.lifeline?.write(`${JSON.stringify(weather)}\n`);
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
