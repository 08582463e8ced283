import { InstanceProcess, type ProcessEnd, type ProcessOptions } from './instance-process.ts';
import { CALM, type Weather } from './weather.ts';

/** As in the template's unit file: a process that fails is started again after this, real ms. */
const RESTART_MS = 1_000;
/** Starts after which the machine is given up: the unit's StartLimitBurst. */
const MAX_STARTS = 20;
/** The unit's RestartPreventExitStatus: the node says that no further start can help. */
const GIVEN_UP_EXIT_CODE = 78;

export interface SupervisionOptions extends Omit<ProcessOptions, 'exited'> {
  /** The process exited by itself and will be started again. */
  readonly restarting: (code: number | null) => void;
  /** The process has finished its work: nothing starts it again, and the machine goes on without it. */
  readonly finished: () => void;
  /** Called once, when the machine is gone for good. */
  readonly ended: (how: string) => void;
}

/**
 * What a machine's systemd does for its node: a process that fails is started again, a few times; one that has finished
 * is not. A signal is how machines of the local cloud die, so that one is not survived.
 */
export class SupervisedProcess {
  private readonly options: SupervisionOptions;
  private process: InstanceProcess | undefined;
  private restart: NodeJS.Timeout | undefined;
  private starts = 0;
  private hasEnded = false;
  private isStopping = false;
  private weather: Weather;

  private constructor(options: SupervisionOptions) {
    this.options = options;
    this.weather = options.weather ?? CALM;
  }

  /** @throws Error when the process cannot be started at all. */
  static async start(options: SupervisionOptions): Promise<SupervisedProcess> {
    const supervised = new SupervisedProcess(options);
    await supervised.startOnce();
    return supervised;
  }

  /** Gone for good. */
  get isOver(): boolean {
    return this.hasEnded;
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.process?.signal(signal);
    if (signal === 'SIGKILL' && this.process === undefined) this.end('signal SIGKILL');
  }

  /** Holds for later starts as well. */
  setWeather(weather: Weather): void {
    this.weather = weather;
    this.process?.setWeather(weather);
  }

  /** Ends it for good. Resolves when the process is gone. Safe to repeat. */
  async stop(): Promise<void> {
    this.isStopping = true;
    if (this.process === undefined) this.end('stopped');
    else await this.process.stop();
  }

  private async startOnce(): Promise<void> {
    this.starts++;
    let hasExited = false;
    const started = await InstanceProcess.start({
      ...this.options,
      weather: this.weather,
      exited: (end) => {
        hasExited = true;
        this.exited(end);
      },
    });
    if (hasExited) return;
    this.process = started;
    started.setWeather(this.weather);
    // Somebody may have asked to stop while the process was on its way up.
    if (this.isStopping) await started.stop();
  }

  private exited({ code, signal }: ProcessEnd): void {
    this.process = undefined;
    if (code === 0 && !this.isStopping) {
      this.options.finished();
      return;
    }
    const isFinal = signal !== null || code === GIVEN_UP_EXIT_CODE;
    if (isFinal || this.isStopping || this.starts >= MAX_STARTS) {
      this.end(signal === null ? `exit code ${code}` : `signal ${signal}`);
      return;
    }
    this.options.restarting(code);
    this.restart = setTimeout(() => {
      this.startOnce().catch((error: unknown) => this.end(`it did not start again: ${String(error)}`));
    }, RESTART_MS);
  }

  private end(how: string): void {
    clearTimeout(this.restart);
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.options.ended(how);
  }
}
