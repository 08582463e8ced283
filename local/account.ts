import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createClock } from './clock.ts';
import type { CloudOptions } from './cloud.ts';
import { cloudFormationService } from './cloud-formation/operations.ts';
import { Stacks } from './cloud-formation/stacks.ts';
import type { Compute, ComputeState } from './compute.ts';
import { FaultControl } from './control/fault-control.ts';
import { createCompute } from './create-compute.ts';
import { cloudParameters, resourceHandlers } from './deployment.ts';
import { lockDirectory } from './directory-lock.ts';
import { type Endpoint, type EndpointCall, openEndpoint } from './endpoint.ts';
import { stateView } from './inventory.ts';
import { fetchNodeBundle } from './node-bundle.ts';
import type { Running } from './running.ts';
import type { CloudClock } from './service.ts';
import { type Services, startServices } from './services.ts';
import { readState, writeState } from './state-file.ts';
import { parseTemplate } from './template/template.ts';

/** What shapes an account before anything is deployed into it. */
export interface AccountOptions
  extends Pick<CloudOptions, 'volumeSizeBytes' | 'timeScale' | 'directory' | 'port' | 'firstHost' | 'log'> {
  /** First three octets of instances' addresses; default `127.10.0` and `127.0.0`. */
  readonly privatePrefix?: string | undefined;
  readonly publicPrefix?: string | undefined;
  /** Variables for every node, which on AWS its boot script fetches as secrets. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Real ms below which no scale makes a hook's timeout fall; default 45 s. */
  readonly shortestHookPatienceMs?: number | undefined;
  readonly onCall?: ((call: EndpointCall) => void) | undefined;
}

/** An AWS account with whatever stacks are deployed into it: none, at first. */
export interface Account {
  readonly endpoint: string;
  readonly region: string;
  /** Where state and volumes live. */
  readonly directory: string;
  readonly services: Services;
  readonly compute: Compute;
  readonly stacks: Stacks;
  /** Stops every process it started; removes a temporary directory. Safe to call twice. */
  stop(): Promise<void>;
}

const REGION = 'us-east-1';
/** Changes come in bursts; the state is written once they have settled for this long (real ms). */
const SAVE_AFTER_MS = 250;

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
class StateKeeper {
  #timer: NodeJS.Timeout | undefined;
  #writing = Promise.resolve();
  readonly #save: () => Promise<void>;

  constructor(save: () => Promise<void>) {
    this.#save = save;
  }

  readonly changed = (): void => {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.saveNow(), SAVE_AFTER_MS);
  };

  saveNow(): Promise<void> {
    clearTimeout(this.#timer);
    this.#writing = this.#writing.then(this.#save);
    return this.#writing;
  }
}

interface Parts {
  readonly options: AccountOptions;
  readonly clock: CloudClock;
  readonly services: Services;
  readonly directory: string;
  readonly endpointUrl: () => string;
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
  const { options, clock, services, directory, endpointUrl, log } = parts;
  return createCompute({
    clock,
    emit: (event) => services.bridge.emit(event),
    directory,
    region: REGION,
    availabilityZone: `${REGION}a`,
    credentials: services.credentials,
    endpointUrl,
    putMetricData: (data) => services.putMetricData(data),
    permits: (principal, request) => services.authorizer.permits(principal, request),
    bundle(wanted, principal) {
      const resource = `arn:aws:s3:::${wanted.bucket}/${wanted.key}`;
      const request = { action: 's3:GetObject', resource, context: new Map() };
      services.authorizer.assert(principal, request, 's3');
      return fetchNodeBundle(services.s3, wanted);
    },
    instanceProfileRole: (profile) => services.iam.roleOfInstanceProfile(profile),
    volumeSizeBytes: options.volumeSizeBytes,
    secrets: options.secrets,
    firstHost: options.firstHost,
    privatePrefix: options.privatePrefix,
    publicPrefix: options.publicPrefix,
    shortestHookPatienceMs: options.shortestHookPatienceMs,
    state,
    log,
  });
}

function openStacks(parts: Parts, compute: Compute, facts: RestoreFacts): Stacks {
  const { options, clock, services, directory, endpointUrl, log } = parts;
  const handlers = resourceHandlers({
    services,
    compute,
    directory,
    endpointUrl,
    isRestoring: () => facts.isRestoring,
  });
  const ownParameters = cloudParameters(options);
  return new Stacks({
    region: REGION,
    handlers,
    ownParameters,
    now: () => clock.now(),
    log,
    changed: () => facts.changed(),
  });
}

interface RestoreFacts {
  isRestoring: boolean;
  changed(): void;
}

function openCloudEndpoint(parts: Parts, account: Omit<Account, 'endpoint' | 'stop'>): Promise<Endpoint> {
  const { options, services, log } = parts;
  const { compute, stacks } = account;
  const faultControl = new FaultControl(services.faults, compute.faults);
  const cloudFormation = cloudFormationService(stacks, services.readObject);
  return openEndpoint({
    port: options.port,
    services: () => [...services.rpc, ...compute.services, cloudFormation],
    callers: services.credentials.callerOf,
    authorizer: services.authorizer,
    dynamoDb: services.dynamoDb,
    lambda: services.lambda,
    s3: services.s3,
    faults: services.faults,
    control: (request) => faultControl.serve(request),
    killCaller: (session) => killCaller(session, services, compute),
    state: () => stateView(account),
    log,
    onCall: options.onCall,
  });
}

/**
 * Opens the emulated account. With a directory that an earlier life has left, its stacks are taken up as they were
 * and its instances come back. Everything started is registered with `running`.
 * @throws Error fit to be shown: a taken port, a folder in use, a state that is not ours.
 */
export async function openAccount(options: AccountOptions, running: Running): Promise<Account> {
  const log = options.log ?? (() => {});
  const directory = await openDirectory(options.directory, running);
  const isKept = options.directory !== undefined;
  const lock = isKept ? await lockDirectory(directory) : undefined;
  running.onStop(() => lock?.release());
  const statePath = join(directory, 'cloud.json');
  const earlier = await readState(statePath);

  let endpoint: Endpoint | undefined;
  const endpointUrl = (): string => {
    if (endpoint === undefined) throw new Error('the endpoint is not open yet');
    return endpoint.url;
  };
  const clock = createClock(options.timeScale);
  let compute: Compute | undefined;
  const alarms = earlier?.alarms;
  const services = await startServices({
    clock,
    region: REGION,
    directory,
    isKept,
    endpointUrl,
    log,
    groups: {
      groupArn: (name) => compute?.autoScalingGroupArn(name),
      groupOf: (instanceId) =>
        compute?.instances().find((instance) => instance.instanceId === instanceId)?.autoScalingGroupName,
    },
    alarms,
  });
  running.onStop(() => services.stop());
  const parts: Parts = { options, clock, services, directory, endpointUrl, log };
  const started = startCompute(parts, earlier?.compute);
  compute = started;
  const facts: RestoreFacts = { isRestoring: false, changed: () => undefined };
  const stacks = openStacks(parts, started, facts);
  const account = { region: REGION, directory, services, compute: started, stacks };
  endpoint = await openCloudEndpoint(parts, account);
  running.onStop(endpoint.stop);
  await lock?.announce(endpoint.url);
  running.onStop(() => started.stop());

  if (isKept) {
    const { cloudWatch } = services;
    const keeper = new StateKeeper(() =>
      writeState(statePath, {
        compute: started.exportState(),
        alarms: cloudWatch.exportState(),
        stacks: stacks.export(),
      }),
    );
    facts.changed = keeper.changed;
    const unsubscribes = [started.onChange(keeper.changed), cloudWatch.onChange(keeper.changed)];
    running.onStop(() => {
      for (const unsubscribe of unsubscribes) unsubscribe();
      return keeper.saveNow();
    });
  }
  // Registered last, so it stops first: no timer fires into a stopping cloud.
  running.onStop(() => clock.stop());

  facts.isRestoring = true;
  for (const saved of earlier?.stacks ?? []) {
    const template = parseTemplate(JSON.parse(saved.templateBody));
    await stacks.restore(saved, { ...saved, template });
  }
  facts.isRestoring = false;
  await started.start();
  return { endpoint: endpoint.url, ...account, stop: () => running.stop() };
}
