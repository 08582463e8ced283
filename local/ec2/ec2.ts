import type { ComputeFaults } from '../compute-faults.ts';
import type { AddressPool } from '../instances/addresses.ts';
import { ACCOUNT_ID, type CloudClock, type Emit } from '../service.ts';
import type { BootOutcome } from './boot-script.ts';
import { type LaunchTemplate, LaunchTemplates, resourceId } from './launch-templates.ts';
import { isTerminated, type Machine, type MachineState } from './machine.ts';
import type { MachineRoom } from './machine-room.ts';
import { NetworkFaults } from './network-faults.ts';

/** EC2 refuses to start an instance: capacity, quota, image, or a knob that says so. */
export class InsufficientCapacity extends Error {
  override readonly name = 'InsufficientCapacity';
}

export interface LaunchRequest {
  readonly template: { readonly LaunchTemplateId: string; readonly Version: string };
  readonly availabilityZone: string;
  readonly subnetId: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Ec2State {
  readonly machines: readonly Machine[];
  readonly launchTemplates: readonly LaunchTemplate[];
}

export interface Ec2Options {
  readonly clock: CloudClock;
  readonly emit: Emit;
  readonly region: string;
  readonly room: MachineRoom;
  readonly addresses: AddressPool;
  readonly endpointUrl: () => string;
  readonly publicPrefix: string;
  readonly log: (line: string) => void;
  /** A machine is up, and its boot script has given it up. */
  readonly gaveUp: (machine: Machine, outcome: Extract<BootOutcome, { kind: 'gaveUp' }>) => void;
  /** After every change of a machine's state. */
  readonly changed: (machine: Machine) => void;
}

/** Terminated instances stay visible for a while on EC2; here this many do. */
const MAX_TERMINATED = 50;
/** Spot's notice. */
const SPOT_NOTICE_MS = 120_000;

type NetworkKnobs = Pick<
  ComputeFaults,
  'partition' | 'cutFromCloud' | 'heal' | 'skewClock' | 'enforceSecurityGroup'
>;

function networkKnobs(network: NetworkFaults, known: (instanceId: string) => unknown): NetworkKnobs {
  return {
    partition(instanceIds) {
      for (const instanceId of instanceIds) known(instanceId);
      network.partition(instanceIds);
    },
    cutFromCloud(instanceId) {
      known(instanceId);
      network.cutFromCloud(instanceId);
    },
    heal: (instanceIds) => network.heal(instanceIds),
    skewClock(instanceId, ms) {
      known(instanceId);
      network.skewClock(instanceId, ms);
    },
    enforceSecurityGroup: (isEnforced) => network.enforceSecurityGroup(isEnforced),
  };
}

/** The instances of the account: which there are, in which state. Their insides are the machine room's. */
export class Ec2 {
  readonly launchTemplates: LaunchTemplates;
  readonly faults: Omit<ComputeFaults, 'delayLifecycleCompletion'>;
  private readonly options: Ec2Options;
  private readonly machines = new Map<string, Machine>();
  private readonly starting = new Map<string, Promise<BootOutcome>>();
  private readonly work = new Set<Promise<void>>();
  private readonly network: NetworkFaults;
  private failingLaunches = { count: 0, message: '' };
  private failingBoots: { count: number; how: 'hang' | 'damagedBundle' } = { count: 0, how: 'hang' };
  private withheldPublicIps = 0;
  private describeLag = { instanceMs: 0, publicIpMs: 0 };
  private isStopped = false;

  constructor(options: Ec2Options, state: Ec2State | undefined) {
    this.options = options;
    this.launchTemplates = new LaunchTemplates(state?.launchTemplates ?? [], () => options.clock.now());
    for (const machine of state?.machines ?? []) this.machines.set(machine.instanceId, { ...machine });
    this.network = new NetworkFaults({
      hosts: () => this.list().filter((machine) => !isTerminated(machine)),
      endpointUrl: options.endpointUrl,
      publicPrefix: options.publicPrefix,
      tell: (instanceId, weather) => options.room.setWeather(instanceId, weather),
    });
    this.faults = { ...this.machineFaults(), ...networkKnobs(this.network, (id) => this.known(id)) };
  }

  list(): readonly Machine[] {
    return [...this.machines.values()];
  }

  find(instanceId: string): Machine | undefined {
    return this.machines.get(instanceId);
  }

  /** Whether DescribeInstances tells of the machine yet: it is eventually consistent, on request. */
  isKnown(machine: Machine): boolean {
    return this.ageCloudMs(machine) >= this.describeLag.instanceMs;
  }

  /** The same for its public address. */
  isPublicIpKnown(machine: Machine): boolean {
    return this.ageCloudMs(machine) >= this.describeLag.publicIpMs;
  }

  /** Registers a machine and boots it in the background. @throws InsufficientCapacity */
  launch(request: LaunchRequest): Machine {
    if (this.failingLaunches.count > 0) {
      this.failingLaunches.count--;
      throw new InsufficientCapacity(this.failingLaunches.message);
    }
    const alive = this.list().filter((machine) => !isTerminated(machine));
    const number = this.options.addresses.lowestFree(new Set(alive.map((machine) => machine.number)));
    if (number === undefined) {
      throw new InsufficientCapacity(
        'There are not enough free addresses in the subnet to launch an instance.',
      );
    }
    const template = this.launchTemplates.find(request.template);
    const version = this.launchTemplates.version(template, request.template.Version);
    const ofTemplate = version.data.TagSpecifications.filter(
      ({ ResourceType }) => ResourceType === 'instance',
    )
      .flatMap(({ Tags }) => Tags)
      .map(({ Key, Value }) => [Key, Value]);
    const machine: Machine = {
      instanceId: resourceId('i'),
      reservationId: resourceId('r'),
      number,
      ...this.options.addresses.addressesOf(number),
      ...(this.withheldPublicIps-- > 0 ? { publicIp: '' } : {}),
      availabilityZone: request.availabilityZone,
      subnetId: request.subnetId,
      launchedMs: this.options.clock.now(),
      launchTemplate: { id: template.launchTemplateId, version: String(version.number) },
      data: version.data,
      tags: {
        ...Object.fromEntries(ofTemplate),
        ...request.tags,
        'aws:ec2launchtemplate:id': template.launchTemplateId,
        'aws:ec2launchtemplate:version': String(version.number),
      },
      state: 'pending',
      stateReason: '',
      terminatedMs: undefined,
      spotTerminationMs: undefined,
      rebalanceNoticeMs: undefined,
    };
    this.machines.set(machine.instanceId, machine);
    this.inBackground(this.boot(machine));
    return machine;
  }

  /** Ends a machine without asking anybody, as `TerminateInstances` does. Safe to repeat. */
  terminate(instanceId: string, reason: string): void {
    const machine = this.machines.get(instanceId);
    if (machine === undefined || machine.state === 'shutting-down') return;
    this.inBackground(this.shutDown(machine, reason));
  }

  /** Boots every machine of the restored state again, on its folder and addresses. @throws Error of the first that cannot. */
  async resume(): Promise<void> {
    for (const machine of this.list().filter(({ state }) => state === 'shutting-down')) {
      await this.shutDown(machine, machine.stateReason);
    }
    // Awaited one by one so that the first failure ends it: a volume must not be discarded over a taken port.
    for (const machine of this.list().filter((candidate) => !isTerminated(candidate))) {
      machine.state = 'pending';
      const start = this.start(machine, 'normally');
      const outcome = await start.finally(() => this.starting.delete(machine.instanceId));
      if (this.isStopped) return;
      if (outcome.kind === 'gaveUp') throw new Error(`${machine.instanceId} does not boot: ${outcome.step}`);
      this.move(machine, 'running');
    }
  }

  exportState(): Ec2State {
    return structuredClone({ machines: this.list(), launchTemplates: this.launchTemplates.list() });
  }

  /** Power off: processes end, records stay as they are. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.allSettled(this.starting.values());
    await Promise.all(this.list().map(({ instanceId }) => this.options.room.shutDown(instanceId)));
    await Promise.all(this.work);
  }

  private machineFaults(): Omit<ComputeFaults, 'delayLifecycleCompletion' | keyof NetworkKnobs> {
    const { room } = this.options;
    return {
      freeze: (instanceId) => room.signal(instanceId, 'SIGSTOP'),
      thaw: (instanceId) => room.signal(instanceId, 'SIGCONT'),
      crash: (instanceId) => room.signal(instanceId, 'SIGKILL'),
      silenceMetadata: (instanceId, silent) => room.silence(instanceId, silent),
      interruptSpot: (instanceId) => this.interruptSpot(this.known(instanceId)),
      recommendRebalance: (instanceId) => {
        this.known(instanceId).rebalanceNoticeMs = this.options.clock.now();
        this.emit('EC2 Instance Rebalance Recommendation', instanceId, {});
      },
      failLaunches: (count, message) => {
        this.failingLaunches = { count, message };
      },
      failBoots: (count, how) => {
        this.failingBoots = { count, how };
      },
      withholdPublicIp: (count) => {
        this.withheldPublicIps = count;
      },
      delayDescribe: (lag) => {
        this.describeLag = { ...lag };
      },
    };
  }

  private ageCloudMs({ launchedMs }: Machine): number {
    const { clock } = this.options;
    return (clock.now() - launchedMs) * clock.timeScale;
  }

  private known(instanceId: string): Machine {
    const machine = this.machines.get(instanceId);
    if (machine === undefined) throw new Error(`there is no instance ${instanceId}`);
    return machine;
  }

  private inBackground(task: Promise<void>): void {
    this.work.add(task);
    void task.finally(() => this.work.delete(task));
  }

  private async boot(machine: Machine): Promise<void> {
    // Callers learn of a machine before its first event does, as with RunInstances.
    await Promise.resolve();
    this.move(machine, 'pending');
    const how = this.failingBoots.count > 0 ? this.failingBoots.how : 'normally';
    this.failingBoots.count--;
    try {
      const outcome = await this.start(machine, how);
      if (machine.state !== 'pending' || this.isStopped) return;
      this.move(machine, 'running');
      if (outcome.kind === 'gaveUp') {
        this.options.log(`instance ${machine.instanceId} was given up by its boot script: ${outcome.step}`);
        this.options.gaveUp(machine, outcome);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.ended(machine, `it did not start: ${reason}`);
    } finally {
      this.starting.delete(machine.instanceId);
    }
  }

  private start(machine: Machine, how: 'normally' | 'hang' | 'damagedBundle'): Promise<BootOutcome> {
    const weather = this.network.weatherOf(machine.instanceId);
    const start = this.options.room.boot(machine, { how, weather, ended: (end) => this.ended(machine, end) });
    this.starting.set(machine.instanceId, start);
    // Those that were there before are told of the newcomer, in case they must not reach it.
    this.network.tellAll();
    return start;
  }

  /** The process of a machine is the machine: when it ends unasked, EC2 has lost the host. */
  private ended(machine: Machine, how: string): void {
    if (this.isStopped || machine.state === 'shutting-down' || isTerminated(machine)) return;
    this.options.log(`instance ${machine.instanceId} (${machine.privateIp}) ended: ${how}`);
    this.inBackground(this.shutDown(machine, `Server.InternalError: the machine failed (${how})`));
  }

  private async shutDown(machine: Machine, reason: string): Promise<void> {
    if (!isTerminated(machine)) {
      machine.stateReason = reason;
      this.move(machine, 'shutting-down');
      // A machine on its way up is ended once it is up: half-started ones have nothing that could be ended.
      await this.starting.get(machine.instanceId)?.catch(() => undefined);
      await this.options.room.shutDown(machine.instanceId);
      if (this.isStopped) return;
      await this.options.room.discardVolume(machine.instanceId);
      machine.terminatedMs = this.options.clock.now();
    }
    // Never within the caller's own call, also when there was nothing left to end.
    await Promise.resolve();
    this.move(machine, 'terminated');
    this.forgetOldest();
  }

  private forgetOldest(): void {
    const terminated = this.list().filter(isTerminated);
    for (const { instanceId } of terminated.slice(0, Math.max(0, terminated.length - MAX_TERMINATED))) {
      this.machines.delete(instanceId);
    }
  }

  private move(machine: Machine, state: MachineState): void {
    const isNews = machine.state !== state || state === 'pending';
    machine.state = state;
    if (isNews) this.emit('EC2 Instance State-change Notification', machine.instanceId, { state });
    this.options.changed(machine);
  }

  private interruptSpot(machine: Machine): void {
    machine.spotTerminationMs = this.options.clock.now() + SPOT_NOTICE_MS / this.options.clock.timeScale;
    this.emit('EC2 Spot Instance Interruption Warning', machine.instanceId, {
      'instance-action': 'terminate',
    });
    this.options.clock.after(SPOT_NOTICE_MS, () =>
      this.terminate(machine.instanceId, 'Server.SpotInstanceTermination: Spot instance termination'),
    );
  }

  private emit(detailType: string, instanceId: string, detail: Readonly<Record<string, unknown>>): void {
    this.options.emit({
      source: 'aws.ec2',
      'detail-type': detailType,
      resources: [`arn:aws:ec2:${this.options.region}:${ACCOUNT_ID}:instance/${instanceId}`],
      detail: { 'instance-id': instanceId, ...detail },
    });
  }
}
