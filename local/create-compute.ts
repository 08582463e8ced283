import { join } from 'node:path';
import { AutoScaling } from './auto-scaling/auto-scaling.ts';
import { parseGroupInput, parseHook } from './auto-scaling/configuration.ts';
import { userRequestCause } from './auto-scaling/describe.ts';
import { type GroupState, targetLifecycleState } from './auto-scaling/group-state.ts';
import { hookOperations } from './auto-scaling/hook-operations.ts';
import { ec2Machines, templateReference } from './auto-scaling/machines.ts';
import { autoScalingService } from './auto-scaling/operations.ts';
import type { Compute, ComputeOptions, ComputeState, InstanceView, ResourceProperties } from './compute.ts';
import type { ComputeFaults } from './compute-faults.ts';
import { giveUp } from './ec2/boot-script.ts';
import { Ec2, type Ec2State } from './ec2/ec2.ts';
import { isTerminated, type Machine } from './ec2/machine.ts';
import { MachineRoom } from './ec2/machine-room.ts';
import { ec2Service } from './ec2/operations.ts';
import { AddressPool, checkAddresses, DEFAULT_PRIVATE_PREFIX } from './instances/addresses.ts';
import { Bundles } from './instances/bundles.ts';
import type { Service } from './service.ts';
import { createSts } from './sts/sts.ts';

/** The boot script calls with the instance's own role; nothing here asks for it. */
const NOBODY = { accessKeyId: '', roleArn: undefined };

/**
 * Puts the compute side together: groups ask EC2 for machines, machines are processes, and what becomes of them goes
 * back to the groups.
 */
class LocalCompute implements Compute {
  readonly services: readonly Service[];
  readonly faults: ComputeFaults;
  private readonly room: MachineRoom;
  private readonly ec2: Ec2;
  private readonly autoScaling: AutoScaling;
  private readonly addresses: AddressPool;
  private readonly listeners = new Set<(instance: InstanceView) => void>();

  constructor(options: ComputeOptions) {
    const { clock, emit, region, availabilityZone, log = () => undefined } = options;
    const state = options.state as SavedState | undefined;
    const { firstHost = 10, privatePrefix = DEFAULT_PRIVATE_PREFIX, publicPrefix = '127.0.0' } = options;
    this.addresses = new AddressPool({ firstHost, privatePrefix, publicPrefix });
    this.room = new MachineRoom({
      ...options,
      log,
      volumeSizeBytes: options.volumeSizeBytes,
      secrets: options.secrets ?? {},
      bundles: new Bundles(join(options.directory, 'bundles')),
      targetLifecycleState: (instanceId) => {
        const lifecycleState = this.autoScaling.groupOfInstance(instanceId)?.instance.lifecycleState;
        return lifecycleState === undefined ? undefined : targetLifecycleState(lifecycleState);
      },
    });
    this.ec2 = new Ec2(
      {
        clock,
        emit,
        region,
        log,
        room: this.room,
        addresses: this.addresses,
        endpointUrl: options.endpointUrl,
        publicPrefix,
        gaveUp: (machine, outcome) =>
          giveUp(
            {
              region,
              groupArn: (name) => this.autoScalingGroupArn(name) ?? '',
              permits: (request) => this.room.permits(machine, request),
              emit,
              completeLifecycleAction: (input) =>
                void hookOperations(this.autoScaling)['CompleteLifecycleAction']?.(input as never, NOBODY),
            },
            machine,
            outcome,
          ),
        changed: (machine) => this.machineChanged(machine),
      },
      state?.ec2,
    );
    this.autoScaling = new AutoScaling(
      {
        clock,
        emit,
        region,
        availabilityZone,
        machines: ec2Machines(this.ec2),
        shortestPatienceMs: options.shortestHookPatienceMs,
        resolveName: (name) => templateReference(this.ec2, name),
        changed: ({ instanceId }) => this.tell(instanceId),
      },
      state?.groups ?? [],
    );
    this.services = [
      autoScalingService(this.autoScaling),
      ec2Service(this.ec2),
      createSts(options.credentials),
    ];
    this.faults = {
      ...this.ec2.faults,
      delayLifecycleCompletion: (cloudMs) => {
        this.autoScaling.completionDelayMs = cloudMs;
      },
    };
  }

  async start(): Promise<void> {
    await this.ec2.resume();
    this.autoScaling.resume();
  }

  putLaunchTemplate(logicalId: string, properties: ResourceProperties) {
    const { LaunchTemplateName, LaunchTemplateData, VersionDescription } = properties;
    const name = typeof LaunchTemplateName === 'string' ? LaunchTemplateName : logicalId;
    const description = typeof VersionDescription === 'string' ? VersionDescription : undefined;
    const template = this.ec2.launchTemplates.put(name, LaunchTemplateData, description);
    return {
      launchTemplateId: template.launchTemplateId,
      latestVersionNumber: String(template.versions.at(-1)?.number ?? 0),
      defaultVersionNumber: String(template.defaultVersion),
    };
  }

  deleteLaunchTemplate(launchTemplateId: string): void {
    this.ec2.launchTemplates.delete(launchTemplateId);
  }

  async putAutoScalingGroup(logicalId: string, properties: ResourceProperties) {
    const input = parseGroupInput(properties);
    const name = input.AutoScalingGroupName ?? logicalId;
    const existing = this.autoScaling.list().find(({ state }) => state.name === name);
    if (existing === undefined) {
      await this.checkAddresses(input.DesiredCapacity ?? input.MinSize ?? 0);
    } else {
      existing.state.hooks = (input.LifecycleHookSpecificationList ?? existing.state.hooks).map(parseHook);
      this.autoScaling.update(existing, input);
    }
    const { state } = existing ?? this.autoScaling.create(name, input);
    return { autoScalingGroupName: name, autoScalingGroupArn: state.arn };
  }

  autoScalingGroupNames(): readonly string[] {
    return this.autoScaling.list().map(({ state }) => state.name);
  }

  launchTemplateNames(): readonly string[] {
    return this.ec2.launchTemplates.list().map(({ name }) => name);
  }

  volumes(): Promise<readonly string[]> {
    return this.room.volumes();
  }

  autoScalingGroupArn(autoScalingGroupName: string): string | undefined {
    return this.autoScaling.list().find(({ state }) => state.name === autoScalingGroupName)?.state.arn;
  }

  async deleteAutoScalingGroup(autoScalingGroupName: string): Promise<void> {
    const isGone = (): boolean =>
      this.autoScaling.list().every(({ state }) => state.name !== autoScalingGroupName);
    if (isGone()) return;
    const group = this.autoScaling.find(autoScalingGroupName);
    group.state.configuration.minSize = 0;
    group.state.configuration.maxSize = 0;
    const what = 'update of AutoScalingGroup constraints to min: 0, max: 0, desired: 0';
    const cause = userRequestCause(this.autoScaling.nowMs, what, group.state.desiredCapacity, 0);
    for (const instance of group.state.instances) instance.protectedFromScaleIn = false;
    group.setDesiredCapacity(0, cause);
    const gone = new Promise<void>((resolve) => {
      const unsubscribe = this.onChange(() => {
        // The group forgets itself only after its last instance's change was told.
        queueMicrotask(() => {
          if (!isGone()) return;
          unsubscribe();
          resolve();
        });
      });
    });
    this.autoScaling.remove(group);
    this.autoScaling.advance(group);
    if (!isGone()) await gone;
  }

  instances(): readonly InstanceView[] {
    return this.ec2
      .list()
      .filter((machine) => !isTerminated(machine))
      .sort((a, b) => a.number - b.number)
      .map((machine) => this.view(machine));
  }

  onChange(listener: (instance: InstanceView) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  exportState(): ComputeState {
    const state: SavedState = { ec2: this.ec2.exportState(), groups: this.autoScaling.exportState() };
    return { ...state };
  }

  async stop(): Promise<void> {
    this.autoScaling.stop();
    await this.ec2.stop();
  }

  /** @throws AddressUnavailable for the first address that the next `count` instances could not have. */
  private async checkAddresses(count: number): Promise<void> {
    const taken = new Set(this.instances().map(({ instanceId }) => this.ec2.find(instanceId)?.number ?? 0));
    for (let i = 0; i < count; i++) {
      const number = this.addresses.lowestFree(taken);
      if (number === undefined) throw new Error(`there are fewer than ${count} free addresses for instances`);
      taken.add(number);
      await checkAddresses(this.addresses.addressesOf(number));
    }
  }

  private machineChanged(machine: Machine): void {
    if (machine.state === 'running') this.autoScaling.machineRunning(machine.instanceId);
    if (machine.state === 'terminated') this.autoScaling.machineGone(machine.instanceId);
    this.tell(machine.instanceId);
  }

  private tell(instanceId: string): void {
    const machine = this.ec2.find(instanceId);
    if (machine === undefined) return;
    const view = this.view(machine);
    for (const listener of [...this.listeners]) listener(view);
  }

  private view(machine: Machine): InstanceView {
    const managed = this.autoScaling.groupOfInstance(machine.instanceId);
    return {
      instanceId: machine.instanceId,
      privateIp: machine.privateIp,
      publicIp: machine.publicIp,
      state: machine.state,
      lifecycleState: managed?.instance.lifecycleState,
      autoScalingGroupName: managed?.group.state.name,
      directory: this.room.directoryOf(machine.instanceId),
      pid: this.room.pidOf(machine.instanceId),
    };
  }
}

interface SavedState {
  readonly ec2: Ec2State;
  readonly groups: readonly GroupState[];
}

export function createCompute(options: ComputeOptions): Compute {
  return new LocalCompute(options);
}
