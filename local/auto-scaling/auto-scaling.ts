import { randomUUID } from 'node:crypto';
import { ACCOUNT_ID, AwsError, type CloudClock, type Emit } from '../service.ts';
import { changesOf, checkSizes, DEFAULT_CONFIGURATION, type GroupInput, parseHook } from './configuration.ts';
import { userRequestCause } from './describe.ts';
import { Group, type Machines } from './group.ts';
import type { GroupInstance, GroupState, LaunchTemplateReference } from './group-state.ts';
import type { GroupTime } from './lifecycle-actions.ts';
import { activeRefresh } from './refresh.ts';

export interface AutoScalingOptions {
  readonly clock: CloudClock;
  readonly emit: Emit;
  readonly region: string;
  readonly availabilityZone: string;
  readonly machines: Machines;
  /** Completes a reference by id or name. @throws AwsError when there is no such template. */
  readonly resolveName: (name: {
    readonly LaunchTemplateId?: string | undefined;
    readonly LaunchTemplateName?: string | undefined;
    readonly Version?: string | undefined;
  }) => LaunchTemplateReference;
  readonly changed: (instance: GroupInstance) => void;
  /** Real ms below which no scale makes a hook's timeout fall; default 45 s. */
  readonly shortestPatienceMs?: number | undefined;
}

/**
 * A hook's timeout is there for a node that starts, which takes as long on a busy machine as it does, whatever the
 * scale: with less, a newcomer on a slow machine is taken for one that will never come.
 */
const SHORTEST_PATIENCE_MS = 45_000;

/** AWS's words. */
const REFRESH_IS_ACTIVE =
  'An active instance refresh with a desired configuration exists. All configuration options derived from the desired configuration are not available for update while the instance refresh is active.';

/** All groups of the account, each with the one timer it needs. */
export class AutoScaling {
  private readonly options: AutoScalingOptions;
  private readonly groups = new Map<string, Group>();
  private readonly timers = new Map<string, { cancel(): void }>();
  private readonly time: GroupTime;
  private isStopped = false;
  /** Cloud ms; a knob, see `ComputeFaults`. */
  completionDelayMs = 0;

  constructor(options: AutoScalingOptions, states: readonly GroupState[]) {
    this.options = options;
    const { clock, shortestPatienceMs = SHORTEST_PATIENCE_MS } = options;
    this.time = {
      now: () => clock.now(),
      scaled: (cloudMs) => cloudMs / clock.timeScale,
      patience: (cloudMs) => Math.max(cloudMs / clock.timeScale, Math.min(cloudMs, shortestPatienceMs)),
      newId: randomUUID,
    };
    for (const state of states) this.groups.set(state.name, this.group(structuredClone(state)));
  }

  get nowMs(): number {
    return this.time.now();
  }

  get groupTime(): GroupTime {
    return this.time;
  }

  get resolveName(): AutoScalingOptions['resolveName'] {
    return this.options.resolveName;
  }

  list(): readonly Group[] {
    return [...this.groups.values()];
  }

  /** @throws AwsError `ValidationError` in AWS's words. */
  find(name: string): Group {
    const group = this.groups.get(name);
    if (group === undefined) {
      throw new AwsError(
        'ValidationError',
        `AutoScalingGroup name not found - AutoScalingGroup ${name} not found`,
      );
    }
    return group;
  }

  groupOfInstance(
    instanceId: string,
  ): { readonly group: Group; readonly instance: GroupInstance } | undefined {
    for (const group of this.groups.values()) {
      const instance = group.find(instanceId);
      if (instance !== undefined) return { group, instance };
    }
    return undefined;
  }

  /** @throws AwsError `AlreadyExists`, `ValidationError`. */
  create(name: string, input: GroupInput): Group {
    if (this.groups.has(name)) {
      const message = 'AutoScalingGroup by this name already exists - A group with the name already exists';
      throw new AwsError('AlreadyExists', message);
    }
    const { minSize, maxSize, launchTemplate, ...rest } = changesOf(input, this.options.resolveName);
    if (minSize === undefined || maxSize === undefined || launchTemplate === undefined) {
      throw new AwsError('ValidationError', 'MinSize, MaxSize and LaunchTemplate must be specified.');
    }
    const desiredCapacity = input.DesiredCapacity ?? minSize;
    checkSizes(minSize, maxSize, desiredCapacity);
    const { region, availabilityZone } = this.options;
    const zones = rest.availabilityZones ?? [];
    const group = this.group({
      name,
      arn: `arn:aws:autoscaling:${region}:${ACCOUNT_ID}:autoScalingGroup:${randomUUID()}:autoScalingGroupName/${name}`,
      createdMs: this.nowMs,
      configuration: {
        ...structuredClone(DEFAULT_CONFIGURATION),
        ...rest,
        minSize,
        maxSize,
        launchTemplate,
        availabilityZones: zones.length === 0 ? [availabilityZone] : zones,
      },
      desiredCapacity,
      hooks: (input.LifecycleHookSpecificationList ?? []).map(parseHook),
      instances: [],
      activities: [],
      refreshes: [],
      suspendedProcesses: [],
      capacityReason: userRequestCause(this.nowMs, 'created an AutoScalingGroup', 0, desiredCapacity),
      lastScalingMs: undefined,
      failedLaunches: 0,
      launchNotBeforeMs: 0,
      deleting: false,
    });
    this.groups.set(name, group);
    this.advance(group);
    return group;
  }

  /** Sizes that no longer fit move the desired capacity with them. @throws AwsError `ValidationError`. */
  update(group: Group, input: GroupInput): void {
    const { state } = group;
    const changes = changesOf(input, this.options.resolveName);
    if (changes.launchTemplate !== undefined && activeRefresh(state)?.desiredTemplate !== undefined)
      throw new AwsError('ValidationError', REFRESH_IS_ACTIVE);
    const minSize = changes.minSize ?? state.configuration.minSize;
    const maxSize = changes.maxSize ?? state.configuration.maxSize;
    const fitting = Math.min(Math.max(state.desiredCapacity, minSize), maxSize);
    const desiredCapacity = input.DesiredCapacity ?? fitting;
    checkSizes(minSize, maxSize, desiredCapacity);
    Object.assign(state.configuration, changes);
    if (desiredCapacity !== state.desiredCapacity) {
      const what = `update of AutoScalingGroup constraints to min: ${minSize}, max: ${maxSize}, desired: ${desiredCapacity}`;
      group.setDesiredCapacity(
        desiredCapacity,
        userRequestCause(this.nowMs, what, state.desiredCapacity, desiredCapacity),
      );
    }
    this.advance(group);
  }

  /** Forgets a group that is being deleted once its last instance is gone. */
  remove(group: Group): void {
    group.state.deleting = true;
    this.forgetWhenEmpty(group);
  }

  machineRunning(instanceId: string): void {
    const found = this.groupOfInstance(instanceId);
    found?.group.machineRunning(instanceId);
    if (found !== undefined) this.advance(found.group);
  }

  machineGone(instanceId: string): void {
    const found = this.groupOfInstance(instanceId);
    found?.group.machineGone(instanceId);
    if (found !== undefined) this.advance(found.group);
  }

  /** Brings a group as far as it can go now, and sees to it that it is looked at again when it must be. */
  advance(group: Group): void {
    if (this.isStopped) return;
    const beganMs = this.nowMs;
    group.advance();
    const { name } = group.state;
    this.timers.get(name)?.cancel();
    const dueMs = group.nextDueMs(beganMs);
    if (dueMs !== undefined) {
      const cloudMs = (dueMs - this.nowMs) * this.options.clock.timeScale;
      // A timer may fire a moment early; one millisecond more spares an empty round.
      this.timers.set(
        name,
        this.options.clock.after(cloudMs + 1, () => this.advance(group)),
      );
    }
    this.forgetWhenEmpty(group);
  }

  /** Deadlines of open actions start anew: while the cloud was off nobody could have met them. */
  resume(): void {
    for (const group of this.groups.values()) {
      for (const instance of group.state.instances) {
        instance.unhealthyFromMs = undefined;
        for (const action of instance.actions) {
          const hook = group.state.hooks.find(
            ({ LifecycleHookName }) => LifecycleHookName === action.hookName,
          );
          action.deadlineMs = this.nowMs + this.time.patience((hook?.HeartbeatTimeout ?? 0) * 1000);
        }
      }
      this.advance(group);
    }
  }

  exportState(): readonly GroupState[] {
    return this.list().map(({ state }) => structuredClone(state));
  }

  stop(): void {
    this.isStopped = true;
    for (const timer of this.timers.values()) timer.cancel();
  }

  private group(state: GroupState): Group {
    const { machines, emit, changed } = this.options;
    const ports = {
      time: this.time,
      machines,
      emit,
      changed,
      completionDelayMs: () => this.completionDelayMs,
    };
    return new Group(state, ports);
  }

  private forgetWhenEmpty({ state }: Group): void {
    if (!state.deleting || state.instances.length > 0) return;
    this.timers.get(state.name)?.cancel();
    this.timers.delete(state.name);
    this.groups.delete(state.name);
  }
}
