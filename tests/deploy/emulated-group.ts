import {
  AutoScalingClient,
  CancelInstanceRefreshCommand,
  CreateAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import type { AutoScaling } from '../../local/auto-scaling/auto-scaling.ts';
import type { InstanceRefresh } from '../../local/auto-scaling/group-state.ts';
import { autoScalingService } from '../../local/auto-scaling/operations.ts';
import { withInstantMachines } from '../local-compute/instant-machines.ts';
import { clientOptions, mounted } from '../local-compute/mounted.ts';

export const GROUP = 'g';

/** The emulated Auto Scaling behind its API, on machines that boot and end when they are told to. */
export class EmulatedGroup {
  readonly client: AutoScalingClient;
  /** EC2 has no capacity left. */
  isFull = false;
  readonly #autoScaling: AutoScaling;
  readonly #ending = new Set<string>();
  readonly #close: () => Promise<void>;

  private constructor(autoScaling: AutoScaling, url: string, close: () => Promise<void>) {
    this.#autoScaling = autoScaling;
    this.client = new AutoScalingClient(clientOptions(url));
    this.#close = close;
  }

  /** As many instances in service, of the first version of the template. */
  static async of(size: number): Promise<EmulatedGroup> {
    let nowMs = 1_000_000;
    const autoScaling: AutoScaling = withInstantMachines({
      clock: { timeScale: 1, now: () => nowMs++, after: () => ({ cancel: () => undefined }) },
      emit: () => undefined,
      isRefused: () => group.isFull,
      onEnding: (instanceId) => void group.#ending.add(instanceId),
    });
    const server = await mounted([autoScalingService(autoScaling)]);
    const group = new EmulatedGroup(autoScaling, server.url, server.close);
    await group.client.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: GROUP,
        MinSize: 0,
        MaxSize: 5,
        DesiredCapacity: size,
        LaunchTemplate: { LaunchTemplateName: 'node', Version: '1' },
      }),
    );
    while (group.step());
    return group;
  }

  /** What a stack update does with a new launch template version. */
  async give(Version: string): Promise<void> {
    const LaunchTemplate = { LaunchTemplateName: 'node', Version };
    await this.client.send(
      new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: GROUP, LaunchTemplate }),
    );
  }

  async cancel(): Promise<void> {
    await this.client.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: GROUP }));
  }

  /** One machine boots or ends. @returns whether there was one to do so. */
  step(): boolean {
    const { instances } = this.#autoScaling.find(GROUP).state;
    const [gone] = this.#ending;
    const booting = instances.find(({ lifecycleState }) => lifecycleState === 'Pending');
    if (gone !== undefined) {
      this.#ending.delete(gone);
      this.#autoScaling.machineGone(gone);
    } else if (booting !== undefined) this.#autoScaling.machineRunning(booting.instanceId);
    return gone !== undefined || booting !== undefined;
  }

  /** What the group is configured with. */
  get version(): string {
    return this.#autoScaling.find(GROUP).state.configuration.launchTemplate.Version;
  }

  /** What its instances run, the oldest first. */
  get running(): readonly string[] {
    return this.#autoScaling.find(GROUP).state.instances.map(({ launchTemplate }) => launchTemplate.Version);
  }

  get refreshes(): readonly InstanceRefresh[] {
    return this.#autoScaling.find(GROUP).state.refreshes;
  }

  async close(): Promise<void> {
    this.client.destroy();
    await this.#close();
  }
}
