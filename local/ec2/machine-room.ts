import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NODE_ENVIRONMENT } from '../../domain/node-environment.ts';
import type { ComputeOptions } from '../compute.ts';
import type { Principal } from '../iam/authorizer.ts';
import type { AccessRequest } from '../iam/evaluate.ts';
import type { TemporaryCredentials } from '../imds/credentials.ts';
import type { InstanceFacts } from '../imds/metadata-paths.ts';
import { MetadataServer } from '../imds/metadata-server.ts';
import { checkAddresses, METADATA_PORT } from '../instances/addresses.ts';
import type { Bundles } from '../instances/bundles.ts';
import { allocatedBytes, diskMetric } from '../instances/disk-metric.ts';
import { SupervisedProcess } from '../instances/supervised-process.ts';
import { parseUserData, type UserData } from '../instances/user-data.ts';
import type { Weather } from '../instances/weather.ts';
import { ACCOUNT_ID } from '../service.ts';
import type { BootOutcome } from './boot-script.ts';
import { addressesOf, type Machine, volumeSizeBytes } from './machine.ts';

/** Where the template mounts the data volume; here a folder of the instance's own. */
const MOUNT_POINT = '/var/lib/chordfs';
/** Credentials are renewed when less than this is left of their life, as on EC2. */
const RENEW_BEFORE_MS = 60 * 60 * 1000;
const GROUP_TAG = 'aws:autoscaling:groupName';

export interface MachineRoomOptions
  extends Pick<
    ComputeOptions,
    'clock' | 'directory' | 'region' | 'credentials' | 'endpointUrl' | 'putMetricData' | 'bundle' | 'permits'
  > {
  readonly bundles: Bundles;
  readonly instanceProfileRole: ComputeOptions['instanceProfileRole'];
  readonly volumeSizeBytes: number | undefined;
  readonly secrets: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
  readonly targetLifecycleState: (instanceId: string) => string | undefined;
}

export interface BootOptions {
  /** Otherwise than `normally` by a fault knob. */
  readonly how: 'normally' | 'hang' | 'damagedBundle';
  readonly weather: Weather;
  readonly ended: (how: string) => void;
}

/** The running side of one machine: its process, its metadata service and its agent. */
interface Running {
  /** Undefined on a machine whose boot script did not get to start the node. */
  readonly process: SupervisedProcess | undefined;
  readonly metadata: MetadataServer;
  readonly agent: { stop(): void };
  isFrozen: boolean;
}

function profileOf({ data: { IamInstanceProfile } }: Machine): string | undefined {
  return IamInstanceProfile?.Arn ?? IamInstanceProfile?.Name;
}

/** Boots and ends machines. Which machines there are, and what EC2 says of them, is its caller's business. */
export class MachineRoom {
  private readonly options: MachineRoomOptions;
  private readonly running = new Map<string, Running>();

  constructor(options: MachineRoomOptions) {
    this.options = options;
  }

  directoryOf(instanceId: string): string {
    return join(this.options.directory, 'instances', instanceId);
  }

  pidOf(instanceId: string): number | undefined {
    return this.running.get(instanceId)?.process?.pid;
  }

  /**
   * Starts the node process with its metadata service and agent. `ended` is called once if the process ends later,
   * wanted or not. A machine whose boot script does not get to the node runs without one.
   * @throws Error that says what to do, when an address, the bundle or the user data is not as needed.
   */
  async boot(machine: Machine, { how, weather, ended }: BootOptions): Promise<BootOutcome> {
    const directory = this.directoryOf(machine.instanceId);
    const text = Buffer.from(machine.data.UserData ?? '', 'base64').toString('utf8');
    const userData = parseUserData(text);
    await checkAddresses(machine);
    await mkdir(join(directory, 'data'), { recursive: true });
    await writeFile(join(directory, 'user-data'), text);
    const metadata = new MetadataServer(this.facts(machine));
    await metadata.listen(machine.privateIp, METADATA_PORT);
    const bundleDirectory =
      how === 'normally' ? await this.prepare(machine, userData) : new Error('verify the bundle');
    if (bundleDirectory instanceof Error) {
      const agent = { stop: () => undefined };
      this.running.set(machine.instanceId, { process: undefined, metadata, agent, isFrozen: false });
      const { environment } = userData;
      return how === 'hang' ? { kind: 'up' } : { kind: 'gaveUp', step: bundleDirectory.message, environment };
    }
    try {
      const process = await SupervisedProcess.start({
        bundleDirectory,
        directory,
        environment: this.environment(machine, userData),
        weather,
        restarting: (code) =>
          this.options.log(
            `instance ${machine.instanceId}: its process exited with ${code}, starting it again`,
          ),
        finished: () => this.options.log(`instance ${machine.instanceId}: its node has finished`),
        ended: (how) => {
          this.leave(machine.instanceId);
          ended(how);
        },
      });
      if (process.isOver) throw new Error('its process ended at once');
      const agent = this.startAgent(machine, userData);
      this.running.set(machine.instanceId, { process, metadata, agent, isFrozen: false });
      return { kind: 'up' };
    } catch (error) {
      await metadata.close();
      throw error;
    }
  }

  /** Resolves when the process is gone. Safe to repeat, and for machines that never booted. */
  async shutDown(instanceId: string): Promise<void> {
    const running = this.running.get(instanceId);
    if (running === undefined) return;
    if (running.process === undefined) this.leave(instanceId);
    else await running.process.stop();
  }

  /** Ids of the machines whose data volume is still there. */
  async volumes(): Promise<readonly string[]> {
    const root = join(this.options.directory, 'instances');
    const instanceIds = await readdir(root).catch(() => []);
    const kept = await Promise.all(
      instanceIds.map(async (instanceId) => {
        const found = await stat(join(root, instanceId, 'data')).catch(() => undefined);
        return found === undefined ? [] : [instanceId];
      }),
    );
    return kept.flat();
  }

  /** The volume goes with the machine (`DeleteOnTermination`); its log stays for whoever asks why. */
  async discardVolume(instanceId: string): Promise<void> {
    await rm(join(this.directoryOf(instanceId), 'data'), { recursive: true, force: true });
  }

  signal(instanceId: string, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    const running = this.running.get(instanceId);
    if (running === undefined) throw new Error(`instance ${instanceId} is not running`);
    running.isFrozen = signal === 'SIGSTOP';
    running.process?.signal(signal);
  }

  /** For machines that run; the others are told at boot. */
  setWeather(instanceId: string, weather: Weather): void {
    this.running.get(instanceId)?.process?.setWeather(weather);
  }

  silence(instanceId: string, isSilent: boolean): void {
    const running = this.running.get(instanceId);
    if (running === undefined) throw new Error(`instance ${instanceId} is not running`);
    running.metadata.isSilent = isSilent;
  }

  /** What the boot script does before it starts the node: the unpacked bundle, or why the script gives up. */
  private async prepare(machine: Machine, userData: UserData): Promise<string | Error> {
    const bundleDirectory = await this.unpack(machine, userData);
    if (bundleDirectory instanceof Error) return bundleDirectory;
    const mayAsk = userData.parameters.every((name) =>
      this.permits(machine, {
        action: 'ssm:GetParameters',
        resource: `arn:aws:ssm:${this.options.region}:${ACCOUNT_ID}:parameter${name}`,
        context: new Map(),
      }),
    );
    return mayAsk ? bundleDirectory : new Error('fetch logins and certificates');
  }

  /** The unpacked bundle, or why the boot script cannot have it. */
  private async unpack(machine: Machine, userData: UserData): Promise<string | Error> {
    const { bundles, bundle } = this.options;
    if (userData.bundle === undefined) return new Error('the user data downloads no node bundle');
    try {
      return await bundles.unpack(await bundle(userData.bundle, this.principalOf(machine)));
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  private leave(instanceId: string): void {
    const running = this.running.get(instanceId);
    if (running === undefined) return;
    this.running.delete(instanceId);
    running.agent.stop();
    void running.metadata.close();
  }

  private environment(machine: Machine, { environment }: UserData): Record<string, string> {
    const { endpointUrl, region } = this.options;
    const dataDirectory = join(this.directoryOf(machine.instanceId), 'data');
    const fromUserData = Object.entries(environment).map(([key, value]) => [
      key,
      value.replaceAll(MOUNT_POINT, dataDirectory),
    ]);
    return {
      ...Object.fromEntries(fromUserData),
      ...this.options.secrets,
      [NODE_ENVIRONMENT.listen]: addressesOf(machine).join(','),
      [NODE_ENVIRONMENT.capacityBytes]: String(this.volumeSize(machine)),
      AWS_ENDPOINT_URL: endpointUrl(),
      AWS_REGION: region,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${machine.privateIp}:${METADATA_PORT}`,
    };
  }

  private volumeSize(machine: Machine): number {
    return this.options.volumeSizeBytes ?? volumeSizeBytes(machine.data);
  }

  private facts(machine: Machine): InstanceFacts {
    const { MetadataOptions, InstanceType, ImageId } = machine.data;
    const role = this.roleOf(machine);
    return {
      instanceId: machine.instanceId,
      privateIp: machine.privateIp,
      publicIp: machine.publicIp === '' ? undefined : machine.publicIp,
      region: this.options.region,
      availabilityZone: machine.availabilityZone,
      instanceType: InstanceType,
      imageId: ImageId,
      accountId: ACCOUNT_ID,
      launchedMs: machine.launchedMs,
      tags: MetadataOptions?.InstanceMetadataTags === 'enabled' ? machine.tags : undefined,
      roleName: role?.roleName,
      instanceProfileArn: profileOf(machine),
      credentials: role === undefined ? undefined : this.renewed(role.roleArn, machine.instanceId),
      targetLifecycleState: () => this.options.targetLifecycleState(machine.instanceId),
      spotTerminationMs: () => machine.spotTerminationMs,
      rebalanceNoticeMs: () => machine.rebalanceNoticeMs,
    };
  }

  private roleOf(machine: Machine): ReturnType<MachineRoomOptions['instanceProfileRole']> {
    const profile = profileOf(machine);
    return profile === undefined ? undefined : this.options.instanceProfileRole(profile);
  }

  /** Who the machine's own programs act as. */
  private principalOf(machine: Machine): Principal {
    return { roleArn: this.roleOf(machine)?.roleArn, session: machine.instanceId };
  }

  /** Whether the machine's role lets it do something that is emulated here, and not done by a process of its own. */
  permits(machine: Machine, request: AccessRequest): boolean {
    return this.options.permits?.(this.principalOf(machine), request) ?? true;
  }

  private renewed(roleArn: string, instanceId: string): () => TemporaryCredentials {
    const { clock, credentials } = this.options;
    let current: TemporaryCredentials | undefined;
    return () => {
      const isFresh = current !== undefined && current.expiration.getTime() - clock.now() > RENEW_BEFORE_MS;
      if (current === undefined || !isFresh) current = credentials.issue(roleArn, instanceId);
      return current;
    };
  }

  private startAgent(machine: Machine, { agent }: UserData): { stop(): void } {
    if (agent === undefined) return { stop: () => undefined };
    const { clock } = this.options;
    const dataDirectory = join(this.directoryOf(machine.instanceId), 'data');
    // The agent finds the group's name in the instance's tags, with the instance's role.
    const mayReadTags = this.permits(machine, {
      action: 'ec2:DescribeTags',
      resource: '*',
      context: new Map(),
    });
    const agentFacts = {
      instanceId: machine.instanceId,
      instanceType: machine.data.InstanceType,
      imageId: machine.data.ImageId,
      autoScalingGroupName: mayReadTags ? machine.tags[GROUP_TAG] : undefined,
    };
    const context = new Map([['cloudwatch:namespace', [agent.namespace]]]);
    const publishing = { action: 'cloudwatch:PutMetricData', resource: '*', context };
    let timer: { cancel(): void };
    let isStopped = false;
    const measure = async (): Promise<void> => {
      const usedPercent = (100 * (await allocatedBytes(dataDirectory))) / this.volumeSize(machine);
      // A frozen machine runs no agent either.
      if (isStopped) return;
      if (this.running.get(machine.instanceId)?.isFrozen !== true) {
        const sample = { path: MOUNT_POINT, usedPercent, time: new Date(clock.now()) };
        if (this.permits(machine, publishing))
          await this.options.putMetricData(diskMetric(agent, agentFacts, sample));
      }
      schedule();
    };
    const schedule = (): void => {
      timer = clock.after(agent.intervalSeconds * 1000, measure);
    };
    schedule();
    return {
      stop() {
        isStopped = true;
        timer.cancel();
      },
    };
  }
}
