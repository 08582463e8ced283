import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addDeploymentOptions, deploymentOf } from './deployment-options.ts';
import { parseTimeSpan } from './time-span.ts';
import { killDescendants } from './up/descendants.ts';
import { addUpOptions, secretsIn, type UpOptions, upOptions } from './up/options.ts';
import { ensurePackaged } from './up/packaging.ts';
import { up } from './up/session.ts';

const projectDirectory = dirname(dirname(fileURLToPath(import.meta.url)));

/** Stopping in order takes 10 s at most; whatever still runs after this is ended without asking. */
const STOP_TIMEOUT_MS = 9_500;
/**
 * One Ctrl-C often arrives twice: from the terminal, and passed on by npm. Only a second one after this long is
 * meant as one.
 */
const SAME_KEYPRESS_MS = 700;

function forceExit(code: number): never {
  killDescendants(process.pid, process.kill);
  process.exit(code);
}

/** Aborts at the first signal, then gives the stop its time; a second signal ends everything at once. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  let firstAtMs: number | undefined;
  const stop = (): void => {
    if (firstAtMs === undefined) {
      firstAtMs = performance.now();
      setTimeout(() => forceExit(1), STOP_TIMEOUT_MS).unref();
      controller.abort();
    } else if (performance.now() - firstAtMs > SAME_KEYPRESS_MS) {
      forceExit(130);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  // Whoever read our output has gone (`chordfs up | head`): as good as a Ctrl-C.
  process.stdout.on('error', stop);
  return controller.signal;
}

function describe(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
    return `${(error as Error).message}: no cloud is running there. Start one with \`chordfs up\`, or name another with --endpoint-url.`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Undefined when nobody's terminal shows the output. */
function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns : undefined;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function runUp(options: UpOptions): Promise<void> {
  const stopSignal = stopOnSignals();
  const progress = options.json ? (line: string): void => void process.stderr.write(`${line}\n`) : print;
  try {
    // Loaded only now: no other command should wait for the emulated cloud to load.
    const { startCloud } = await import('../local/up.ts');
    await up(options, {
      projectDirectory,
      secrets: secretsIn(process.env),
      startCloud,
      ensurePackaged: (onStart) => ensurePackaged({ projectDirectory, signal: stopSignal, onStart }),
      print,
      progress,
      terminalWidth: terminalWidth(),
      stopSignal,
    });
    process.exitCode = 0;
  } catch (error) {
    process.stderr.write(`error: ${describe(error)}\n`);
    process.exitCode = 1;
  }
  // Something that forgot to end must not keep the terminal.
  setTimeout(() => forceExit(Number(process.exitCode)), SAME_KEYPRESS_MS).unref();
}

/** `chordfs log | head`: the reader has seen enough, which is no error. Pending output has nowhere to go. */
function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

function program(): Command {
  const root = new Command('chordfs')
    .description('A file store that grows by itself: a Chord ring on AWS.')
    .showHelpAfterError('(chordfs --help, or chordfs up --help, lists all options)');
  const upCommand = root.command('up').description('run the whole system on this machine');
  addUpOptions(upCommand).action(async () => {
    const options = upOptions(upCommand);
    if ('problem' in options) return upCommand.error(`error: ${options.problem}`);
    await runUp(options);
  });
  const nodesCommand = root
    .command('nodes')
    .description('list the nodes: where they are, how full, and what is moving');
  addDeploymentOptions(nodesCommand).action(async () => {
    endWithReader();
    const { nodeLines } = await import('./nodes.ts');
    for (const line of await nodeLines(deploymentOf(nodesCommand))) print(line);
  });
  const logCommand = root
    .command('log')
    .description('show the scaling log: what changed, when, and why')
    .addOption(
      new Option('--since <span>', 'only the last 90s, 30m, 2h or 3d').argParser((text) => {
        const spanMs = parseTimeSpan(text);
        if (spanMs === undefined) throw new InvalidArgumentError('Write it like 90s, 30m, 2h or 3d.');
        return spanMs;
      }),
    )
    .option('--follow', 'go on with what is new until Ctrl-C', false);
  addDeploymentOptions(logCommand).action(async () => {
    endWithReader();
    const { logLines } = await import('./log.ts');
    const { since, follow } = logCommand.opts<{ since?: number; follow: boolean }>();
    const lines = logLines(deploymentOf(logCommand), {
      sinceMs: since === undefined ? undefined : Date.now() - since,
      isFollowing: follow,
      width: terminalWidth(),
    });
    for await (const line of lines) print(line);
  });
  return root;
}

/** Runs the command line of this process; sets its exit code. */
export async function main(): Promise<void> {
  try {
    await program().parseAsync();
  } catch (error) {
    process.stderr.write(`error: ${describe(error)}\n`);
    process.exitCode = 1;
  }
}
