import { SERVER_VARIABLES } from '../../domain/node-environment.ts';
import type { Cloud, CloudOptions } from '../../local/cloud.ts';
import { scalingLogLines } from '../scaling-log-line.ts';
import type { UpOptions } from './options.ts';
import { nodeTable, readyLine, whatToTry } from './presentation.ts';

/** A start that takes longer than this has failed, whatever it is still waiting for. */
const READY_TIMEOUT_MS = 180_000;

export interface UpDependencies {
  readonly projectDirectory: string;
  /** Logins and certificates for the nodes, by their variables' names. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly startCloud: (options: CloudOptions, signal: AbortSignal) => Promise<Cloud>;
  /** Resolves when `.serverless` is up to date; calls `onStart` when that takes a while. */
  readonly ensurePackaged: (onStart: () => void) => Promise<void>;
  /** One line on stdout. */
  readonly print: (line: string) => void;
  /** One line of progress: stdout for people, stderr beside `--json`. */
  readonly progress: (line: string) => void;
  /** Columns of the terminal that shows it; undefined: nobody's terminal. */
  readonly terminalWidth: number | undefined;
  /** Fires at the first Ctrl-C or SIGTERM, or when nobody reads stdout any more. */
  readonly stopSignal: AbortSignal;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Waits for the group; a deadline that passes becomes an error that says what was waited for. */
async function waitUntilReady(cloud: Cloud, desired: number, stopSignal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(READY_TIMEOUT_MS);
  try {
    await cloud.whenReady(AbortSignal.any([stopSignal, deadline]));
  } catch (error) {
    if (!deadline.aborted || stopSignal.aborted) throw error;
    const inService = (await cloud.nodes()).length;
    const problem = `Only ${inService} of ${desired} instances were in service after ${READY_TIMEOUT_MS / 1000} s.`;
    throw new Error(problem, { cause: error });
  }
}

/** Prints events as they come; before the ready line they are held back, so that line is always the first. */
function followEvents(cloud: Cloud, json: boolean, dependencies: UpDependencies): () => void {
  const { print, progress, terminalWidth } = dependencies;
  const early: string[] = [];
  let isReady = false;
  cloud.onScalingEvent((event) => {
    if (!json) for (const line of scalingLogLines(event, terminalWidth)) (isReady ? print : progress)(line);
    else if (isReady) print(JSON.stringify(event));
    else early.push(JSON.stringify(event));
  });
  return () => {
    isReady = true;
    for (const line of early.splice(0)) print(line);
  };
}

async function runCloud(cloud: Cloud, options: UpOptions, dependencies: UpDependencies): Promise<void> {
  const { print, projectDirectory, secrets, stopSignal } = dependencies;
  const isTls = SERVER_VARIABLES.serverCertificate in secrets;
  const releaseEvents = followEvents(cloud, options.json, dependencies);
  await waitUntilReady(cloud, options.cloud.desired, stopSignal);
  const nodes = await cloud.nodes();
  if (options.json) {
    print(readyLine(cloud, nodes));
  } else {
    const lines = [...nodeTable(nodes), '', ...whatToTry(cloud, nodes, { projectDirectory, isTls })];
    for (const line of ['', ...lines, '', 'Scaling log:']) print(line);
  }
  releaseEvents();
  await untilAborted(stopSignal);
}

/**
 * `chordfs up`: packages, starts the cloud, tells, follows the scaling log until it is told to stop, and stops all it
 * started, also when the start fails half-way. Rejects with an error fit to be shown.
 */
export async function up(options: UpOptions, dependencies: UpDependencies): Promise<void> {
  const { progress, stopSignal, ensurePackaged, startCloud, secrets } = dependencies;
  let cloud: Cloud | undefined;
  try {
    await ensurePackaged(() => progress('Packaging the service (once, until its sources change) ...'));
    const { desired, timeScale } = options.cloud;
    progress(`Starting the cloud with ${desired} instances; its minutes pass ${timeScale} times as fast ...`);
    cloud = await startCloud({ ...options.cloud, secrets, log: progress }, stopSignal);
    await runCloud(cloud, options, dependencies);
  } catch (error) {
    // An interrupted start is no failure: whoever interrupted it knows.
    if (!stopSignal.aborted) throw error;
  } finally {
    if (stopSignal.aborted) progress('Stopping ...');
    await cloud?.stop();
  }
}
