import type { GroupView } from '../../domain/group-view.ts';
import type { AutoScalingGroup, LifecycleAction } from '../../functions/adapters/auto-scaling.ts';
import type { Ec2Instances } from '../../functions/adapters/ec2-instances.ts';

/** A group and its machines as the functions see them: set what is, read what was asked for. */
export class FakeGroup implements AutoScalingGroup {
  view: { -readonly [Key in keyof GroupView]: GroupView[Key] } = {
    minSize: 1,
    maxSize: 4,
    desiredCapacity: 2,
    instances: [],
  };
  readonly completed: LifecycleAction[] = [];
  readonly desired: number[] = [];
  readonly unhealthy: string[] = [];
  /** Taken out with a decrement of the desired capacity. */
  readonly terminated: string[] = [];
  /** How many times an action is visible as waiting before it can be completed. */
  notYet = 0;
  /** Fails the next call, as a throttled or crashed API does. */
  failNext: Error | undefined;

  describe(): Promise<GroupView> {
    return Promise.resolve({ ...this.view, instances: [...this.view.instances] });
  }

  completeLifecycleAction(action: LifecycleAction): Promise<'completed' | 'notYet'> {
    if (this.notYet > 0) {
      this.notYet -= 1;
      return Promise.resolve('notYet');
    }
    this.completed.push(action);
    return Promise.resolve('completed');
  }

  async setDesiredCapacity(desiredCapacity: number): Promise<void> {
    await Promise.resolve();
    const failure = this.failNext;
    this.failNext = undefined;
    if (failure !== undefined) throw failure;
    this.desired.push(desiredCapacity);
    this.view.desiredCapacity = desiredCapacity;
  }

  async terminate(instanceId: string): Promise<void> {
    await Promise.resolve();
    const failure = this.failNext;
    this.failNext = undefined;
    if (failure !== undefined) throw failure;
    this.terminated.push(instanceId);
    this.view.desiredCapacity -= 1;
    this.view.instances = this.view.instances.map((instance) =>
      instance.instanceId === instanceId ? { instanceId, lifecycleState: 'Terminating:Wait' } : instance,
    );
  }

  setUnhealthy(instanceId: string): Promise<void> {
    this.unhealthy.push(instanceId);
    return Promise.resolve();
  }
}

export class FakeInstances implements Ec2Instances {
  readonly stateOf = new Map<string, string>();
  /** How many times EC2 does not know a new instance yet. */
  unknownFor = 0;
  /** Happens while EC2 answers. */
  beforeStates: () => Promise<void> = () => Promise.resolve();

  find(instanceId: string): ReturnType<Ec2Instances['find']> {
    if (this.unknownFor > 0) {
      this.unknownFor -= 1;
      return Promise.resolve(undefined);
    }
    return Promise.resolve({
      instanceId,
      privateIp: '127.25.0.1',
      publicIp: '127.25.0.2',
      availabilityZone: 'us-east-1a',
      state: this.stateOf.get(instanceId) ?? 'running',
    });
  }

  async states(instanceIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
    await this.beforeStates();
    return new Map(instanceIds.map((id) => [id, this.stateOf.get(id) ?? 'running']));
  }
}
