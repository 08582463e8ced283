import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClock } from './clock.ts';
import type { CloudOptions } from './cloud.ts';
import type { CloudWatch } from './cloud-watch/cloud-watch.ts';
import type { Compute, ComputeState } from './compute.ts';
import { FaultControl } from './control/fault-control.ts';
import { createCompute } from './create-compute.ts';
import { deployedProperties, parameterValues, resourceHandlers } from './deployment.ts';
import { lockDirectory } from './directory-lock.ts';
import { type Endpoint, type EndpointCall, openEndpoint } from './endpoint.ts';
import { type LocalCloud, localCloud, stateView } from './local-cloud.ts';
import { findNodeBundle } from './node-bundle.ts';
import type { CloudClock } from './service.ts';
import { type Services, startServices } from './services.ts';
import { type CloudState, readState, writeState } from './state-file.ts';
import type { ParameterValues } from './template/parameters.ts';
import { deployStack, type Stack } from './template/stack.ts';
import { loadTemplate } from './template/template.ts';

/** `CloudOptions`, and what only tests choose. */
export interface StartOptions extends CloudOptions {
  /** Where `sls package` left its output; default: the project's own `.serverless`. */
  readonly packageDirectory?: string | undefined;
  /** Default: the update template in the package directory. */
  readonly templatePath?: string | undefined;
  /** Over those that follow from the options. */
  readonly parameters?: ParameterValues | undefined;
  /** First three octets of instances' addresses; default `127.10.0` and `127.0.0`. */
  readonly privatePrefix?: string | undefined;
  readonly publicPrefix?: string | undefined;
  /** Real ms below which no scale makes a hook's timeout fall; default 45 s. */
  readonly shortestHookPatienceMs?: number | undefined;
  readonly onCall?: ((call: EndpointCall) => void) | undefined;
}

const REGION = 'us-east-1';
const STACK_NAME = 'chordfs-local';
const TEMPLATE_FILE = 'cloudformation-template-update-stack.json';
/** Changes come in bursts; the state is written once they have settled for this long (real ms). */
const SAVE_AFTER_MS = 250;

/** What is running so far, so that a start that fails half-way can be taken back. */
class Running {
  readonly #steps: (() => Promise<void> | void)[] = [];
  #stopped: Promise<void> | undefined;

  onStop(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Every step, last one first; one that fails does not keep the others from running. */
  stop(): Promise<void> {
    this.#stopped ??= this.#run();
    return this.#stopped;
  }

  async #run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'the local cloud did not stop cleanly');
  }
}

async function openDirectory(given: string | undefined, running: Running): Promise<string> {
  if (given !== undefined) {
    const directory = resolve(given);
    await mkdir(directory, { recursive: true });
    return directory;
  }
  const directory = await mkdtemp(join(tmpdir(), 'chordfs-'));
  running.onStop(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}

/** Writes the state soon after every change, and once more when the cloud stops. */
function keepState(
  { compute, cloudWatch }: { readonly compute: Compute; readonly cloudWatch: CloudWatch },
  save: () => Promise<void>,
  running: Running,
): void {
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();
  const saveNow = (): Promise<void> => {
    writing = writing.then(save);
    return writing;
  };
  const saveSoon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void saveNow(), SAVE_AFTER_MS);
  };
  const unsubscribes = [compute.onChange(saveSoon), cloudWatch.onChange(saveSoon)];
  running.onStop(async () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
    clearTimeout(timer);
    await saveNow();
  });
}

interface Parts {
  readonly options: StartOptions;
  readonly clock: CloudClock;
  readonly services: Services;
  readonly directory: string;
  readonly packageDirectory: string;
  readonly endpointUrl: () => string;
  readonly privatePrefix: string;
  readonly log: (line: string) => void;
}

/** A function's process, or an instance's machine; whoever else calls cannot be killed from here. */
function killCaller(session: string, { lambda }: Services, compute: Compute): void {
  const called = lambda.functions().find(({ configuration }) => configuration.functionName === session);
  if (called !== undefined) void called.crash();
  else if (compute.instances().some(({ instanceId }) => instanceId === session))
    compute.faults.crash(session);
}

function startCompute(parts: Parts, state: ComputeState | undefined): Compute {
  const { options, clock, services, directory, packageDirectory, endpointUrl, privatePrefix, log } = parts;
  const bundles = { packages: packageDirectory, kept: join(directory, 'node-bundles') };
  return createCompute({
    clock,
    emit: (event) => services.bridge.emit(event),
    directory,
    region: REGION,
    availabilityZone: `${REGION}a`,
    credentials: services.credentials,
    endpointUrl,
    putMetricData: (data) => services.putMetricData(data),
    bundle: (sha256) => findNodeBundle(bundles, sha256),
    instanceProfileRole: (profile) => services.iam.roleOfInstanceProfile(profile),
    volumeSizeBytes: options.volumeSizeBytes,
    firstHost: options.firstHost,
    privatePrefix,
    publicPrefix: options.publicPrefix,
    shortestHookPatienceMs: options.shortestHookPatienceMs,
    state,
    log,
  });
}

function openCloudEndpoint(parts: Parts, compute: Compute, state: () => unknown): Promise<Endpoint> {
  const { options, services, log } = parts;
  const faultControl = new FaultControl(services.faults, compute.faults);
  return openEndpoint({
    port: options.port,
    services: () => [...services.rpc, ...compute.services],
    callers: services.credentials.callerOf,
    dynamoDb: services.dynamoDb,
    lambda: services.lambda,
    s3: services.s3,
    faults: services.faults,
    control: (request) => faultControl.serve(request),
    killCaller: (session) => killCaller(session, services, compute),
    state,
    log,
    onCall: options.onCall,
  });
}

async function start(options: StartOptions, signal: AbortSignal, running: Running): Promise<LocalCloud> {
  const packageDirectory = resolve(
    options.packageDirectory ?? fileURLToPath(new URL('../.serverless', import.meta.url)),
  );
  const template = await loadTemplate(options.templatePath ?? join(packageDirectory, TEMPLATE_FILE));
  const log = options.log ?? (() => {});
  const directory = await openDirectory(options.directory, running);
  const isKept = options.directory !== undefined;
  const lock = isKept ? await lockDirectory(directory) : undefined;
  running.onStop(() => lock?.release());
  const statePath = join(directory, 'cloud.json');
  const earlier = await readState(statePath);
  const privatePrefix = options.privatePrefix ?? '127.10.0';

  let endpoint: Endpoint | undefined;
  const endpointUrl = (): string => {
    if (endpoint === undefined) throw new Error('the endpoint is not open yet');
    return endpoint.url;
  };
  const clock = createClock(options.timeScale);
  const alarms = earlier?.alarms;
  const services = await startServices({
    clock,
    region: REGION,
    directory,
    isKept,
    endpointUrl,
    log,
    alarms,
  });
  running.onStop(() => services.stop());
  const parts = { options, clock, services, directory, packageDirectory, endpointUrl, privatePrefix, log };
  const compute = startCompute(parts, earlier?.compute);
  let stack: Stack | undefined;
  const state = () => stateView(directory, services, compute, stack);
  endpoint = await openCloudEndpoint(parts, compute, state);
  running.onStop(endpoint.stop);
  await lock?.announce(endpoint.url);
  running.onStop(() => compute.stop());
  signal.throwIfAborted();

  let resources: CloudState['resources'] = earlier?.resources ?? {};
  if (isKept) {
    const { cloudWatch } = services;
    const state = () => ({ compute: compute.exportState(), alarms: cloudWatch.exportState(), resources });
    keepState({ compute, cloudWatch }, () => writeState(statePath, state()), running);
  }
  let starting: Promise<void> | undefined;
  const startInstances = (): Promise<void> => {
    starting ??= compute.start();
    return starting;
  };
  // Registered last, so it stops first: no timer fires into a stopping cloud.
  running.onStop(() => clock.stop());
  const networks = { vpcCidr: `${privatePrefix}.0/16`, subnetCidr: `${privatePrefix}.0/24` };
  stack = await deployStack({
    template,
    parameters: { ...parameterValues(template, options, networks), ...options.parameters },
    stackName: STACK_NAME,
    region: REGION,
    handlers: resourceHandlers({
      services,
      compute,
      packageDirectory,
      directory,
      endpointUrl,
      earlier: resources,
      startInstances,
    }),
  });
  resources = deployedProperties(stack);
  await startInstances();
  signal.throwIfAborted();
  const stop = (): Promise<void> => running.stop();
  return localCloud({ endpoint: endpoint.url, region: REGION, stack, compute, services, directory, stop });
}

/**
 * Starts the emulated cloud and deploys the packaged template into it. Returns once everything is created;
 * instances boot in the background (`whenReady`). A start that fails or is aborted leaves nothing running.
 * @throws Error fit to be shown: no package, a bad parameter, a taken port, an address that cannot be bound.
 */
export async function startCloud(
  options: StartOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<LocalCloud> {
  const running = new Running();
  try {
    return await start(options, signal, running);
  } catch (error) {
    await running.stop();
    throw error;
  }
}
