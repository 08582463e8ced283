import { Group, LaunchFailure } from '../../local/auto-scaling/group.ts';
import type { GroupState, LifecycleHook, LifecycleState } from '../../local/auto-scaling/group-state.ts';
import { findAction, recordHeartbeat } from '../../local/auto-scaling/lifecycle-actions.ts';
import type { EmittedEvent } from '../../local/service.ts';

export const template = (version: number) => ({
  LaunchTemplateId: 'lt-1',
  LaunchTemplateName: 'node',
  Version: String(version),
});

export function groupState(changes: Partial<GroupState> = {}): GroupState {
  return {
    name: 'g',
    arn: 'arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:1:autoScalingGroupName/g',
    createdMs: 0,
    configuration: {
      minSize: 0,
      maxSize: 10,
      launchTemplate: template(1),
      availabilityZones: ['us-east-1a'],
      subnetIds: ['subnet-1'],
      defaultCooldown: 300,
      healthCheckType: 'EC2',
      healthCheckGracePeriod: 0,
      defaultInstanceWarmup: 0,
      newInstancesProtectedFromScaleIn: false,
      terminationPolicies: ['Default'],
      capacityRebalance: false,
      terminateHookAbandon: 'terminate',
      tags: [],
    },
    desiredCapacity: 0,
    hooks: [],
    instances: [],
    activities: [],
    refreshes: [],
    suspendedProcesses: [],
    capacityReason: '',
    lastScalingMs: undefined,
    failedLaunches: 0,
    launchNotBeforeMs: 0,
    deleting: false,
    ...changes,
  };
}

export const hook = (
  name: string,
  transition: 'LAUNCHING' | 'TERMINATING',
  more: Partial<LifecycleHook> = {},
): LifecycleHook => ({
  LifecycleHookName: name,
  LifecycleTransition: `autoscaling:EC2_INSTANCE_${transition}`,
  HeartbeatTimeout: 300,
  DefaultResult: 'ABANDON',
  ...more,
});

/** A group on machines and a clock that do only what the test says. */
export class GroupSimulation {
  nowMs = 0;
  failingLaunches = 0;
  completionDelayMs = 0;
  /** Each look at the clock costs this much, so that things fall due in the middle of a step. */
  tickMs = 0;
  readonly events: EmittedEvent[] = [];
  /** Every state an instance was seen in, in order. */
  readonly history = new Map<string, LifecycleState[]>();
  readonly booting = new Set<string>();
  readonly ending = new Set<string>();
  readonly group: Group;
  private lastId = 0;
  private sinceMs = 0;

  constructor(changes: Partial<GroupState> = {}) {
    const state = groupState(changes);
    this.group = new Group(state, {
      time: {
        now: () => {
          this.nowMs += this.tickMs;
          return this.nowMs;
        },
        scaled: (ms) => ms,
        patience: (ms) => ms,
        newId: () => `id-${++this.lastId}`,
      },
      emit: (event) => this.events.push(event),
      completionDelayMs: () => this.completionDelayMs,
      changed: ({ instanceId, lifecycleState }) => {
        this.history.set(instanceId, [...(this.history.get(instanceId) ?? []), lifecycleState]);
      },
      machines: {
        launch: (_, launchTemplate) => {
          if (this.failingLaunches > 0) {
            this.failingLaunches--;
            throw new LaunchFailure('We currently do not have sufficient capacity');
          }
          const instanceId = `i-${++this.lastId}`;
          this.booting.add(instanceId);
          return {
            instanceId,
            availabilityZone: 'us-east-1a',
            subnetId: 'subnet-1',
            instanceType: 't4g.micro',
            imageId: 'ami-1',
            launchTemplate,
          };
        },
        terminate: (instanceId) => this.ending.add(instanceId),
        resolveTemplate: (reference) => reference,
      },
    });
  }

  get state(): GroupState {
    return this.group.state;
  }

  /** Boots and ends what EC2 was asked to. */
  settle(): void {
    for (let round = 0; this.booting.size + this.ending.size > 0; round++) {
      if (round > 1000) throw new Error('the group launches and ends machines for ever');
      for (const instanceId of this.booting) {
        this.booting.delete(instanceId);
        this.group.machineRunning(instanceId);
      }
      for (const instanceId of this.ending) {
        this.ending.delete(instanceId);
        this.group.machineGone(instanceId);
      }
    }
  }

  scaleTo(desiredCapacity: number): void {
    this.group.setDesiredCapacity(desiredCapacity, 'At T a user request did it.');
    this.group.advance();
    this.settle();
  }

  /** Time passes; what falls due meanwhile happens when it does. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.group.nextDueMs(this.sinceMs);
      if (dueMs === undefined || dueMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.sinceMs = this.nowMs;
      this.group.advance();
      this.settle();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
    this.sinceMs = this.nowMs;
  }

  complete(instanceId: string, hookName: string, result: 'CONTINUE' | 'ABANDON' = 'CONTINUE'): void {
    const reference = { LifecycleHookName: hookName, InstanceId: instanceId };
    const { instance, action } = findAction(this.state, reference, this.nowMs);
    this.group.lifecycle.complete(
      instance,
      action,
      result,
      `Lifecycle Action Completed with ${result} Result`,
    );
    this.group.advance();
    this.settle();
  }

  heartbeat(instanceId: string, hookName: string): void {
    const { action } = findAction(
      this.state,
      { LifecycleHookName: hookName, InstanceId: instanceId },
      this.nowMs,
    );
    const found = this.state.hooks.find(({ LifecycleHookName }) => LifecycleHookName === hookName);
    recordHeartbeat(action, found, {
      now: () => this.nowMs,
      scaled: (ms) => ms,
      patience: (ms) => ms,
      newId: () => '',
    });
  }

  inState(lifecycleState: LifecycleState): string[] {
    return this.state.instances
      .filter((instance) => instance.lifecycleState === lifecycleState)
      .map(({ instanceId }) => instanceId);
  }

  eventTypes(): string[] {
    return this.events.map((event) => event['detail-type']);
  }
}
