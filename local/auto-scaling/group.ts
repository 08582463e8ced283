import type { EmittedEvent } from '../service.ts';
import { activityOf, addActivity, causeTime, refreshEvent } from './activities.ts';
import {
  type Activity,
  countsAsCapacity,
  type GroupInstance,
  type GroupState,
  type InstanceRefresh,
  LAUNCHING,
  type LaunchTemplateReference,
  TERMINATING,
} from './group-state.ts';
import { InstanceLifecycle, type LifecyclePorts } from './instance-lifecycle.ts';
import { activeRefresh, decideRefresh, launchTemplateOf } from './refresh.ts';
import { isSameTemplate, selectForTermination } from './termination-policy.ts';

/** EC2 refused to launch; the message becomes the activity's status message. */
export class LaunchFailure extends Error {
  override readonly name = 'LaunchFailure';
}

/** What a group needs of EC2. */
export interface Machines {
  /** Allocates a machine that boots in the background. @throws LaunchFailure */
  launch(
    group: GroupState,
    template: LaunchTemplateReference,
  ): {
    readonly instanceId: string;
    readonly availabilityZone: string;
    readonly subnetId: string;
    readonly instanceType: string;
    readonly imageId: string;
    readonly launchTemplate: LaunchTemplateReference;
  };
  /** Ends the machine; `machineGone` follows, also when it was gone before, but never within the call. */
  terminate(instanceId: string): void;
  /** `$Latest` and `$Default` become the number they stand for now. */
  resolveTemplate(reference: LaunchTemplateReference): LaunchTemplateReference;
}

export interface GroupPorts extends Omit<LifecyclePorts, 'terminate'> {
  readonly machines: Machines;
}

/** What becomes of the launch activity of an instance that is taken out before it was in service. */
const TAKEN_OUT = { message: 'Instance was taken out before it was in service.', isFailure: false };
const UNHEALTHY = {
  message: 'Instance became unhealthy while waiting for instance to be in InService state.',
  isFailure: true,
};

/** How long EC2's status checks take to notice a machine that is gone. */
const HEALTH_CHECK_DELAY_MS = 60_000;
/**
 * The state machine of one Auto Scaling group (`facts` of AWS's user guide, "lifecycle hooks"): capacity, lifecycle
 * actions, health, refreshes. It does no I/O and knows no clock: time, machines and events are ports, and whatever
 * changed, `advance` brings the group as far as it can go. Due times are told by `nextDueMs`.
 */
export class Group {
  readonly state: GroupState;
  readonly lifecycle: InstanceLifecycle;
  private readonly ports: GroupPorts;

  constructor(state: GroupState, ports: GroupPorts) {
    this.state = state;
    this.ports = ports;
    this.lifecycle = new InstanceLifecycle(state, {
      ...ports,
      terminate: (instanceId) => ports.machines.terminate(instanceId),
    });
  }

  find(instanceId: string): GroupInstance | undefined {
    return this.state.instances.find((instance) => instance.instanceId === instanceId);
  }

  /** A template, by default the one the group is configured with, with its number. */
  resolvedTemplate(reference = this.state.configuration.launchTemplate): LaunchTemplateReference {
    return this.ports.machines.resolveTemplate(reference);
  }

  emit(event: EmittedEvent): void {
    this.ports.emit(event);
  }

  capacity(): number {
    return this.state.instances.filter(countsAsCapacity).length;
  }

  /** Ends what is overdue, then closes the gap between desired and actual capacity. Safe to repeat. */
  advance(): void {
    this.expireActions();
    this.replaceUnhealthy();
    const surge = this.stepRefresh();
    this.meetCapacity(this.state.desiredCapacity + surge);
  }

  /**
   * When `advance` will next have something to do by itself, in real ms; undefined: not before something happens.
   * `sinceMs` is when the last `advance` began: what fell due while it ran counts as still to come.
   */
  nextDueMs(sinceMs: number): number | undefined {
    const { instances, launchNotBeforeMs, desiredCapacity } = this.state;
    const due = instances.flatMap(({ actions }) => actions.map(({ deadlineMs }) => deadlineMs));
    for (const instance of instances) {
      if (countsAsCapacity(instance) && instance.unhealthyFromMs !== undefined)
        due.push(instance.unhealthyFromMs);
    }
    if (this.capacity() < desiredCapacity || activeRefresh(this.state) !== undefined)
      due.push(launchNotBeforeMs);
    const future = due.filter((dueMs) => dueMs > sinceMs);
    return future.length === 0 ? undefined : Math.min(...future);
  }

  machineRunning(instanceId: string): void {
    const instance = this.find(instanceId);
    if (instance?.lifecycleState === 'Pending') this.lifecycle.wait(instance, LAUNCHING);
    this.advance();
  }

  machineGone(instanceId: string): void {
    const instance = this.find(instanceId);
    if (instance === undefined) return;
    instance.isMachineGone = true;
    if (
      instance.lifecycleState === 'Terminating:Proceed' ||
      instance.lifecycleState === 'Terminating:Retained'
    ) {
      this.lifecycle.bury(instance);
    } else {
      instance.unhealthyFromMs ??= this.ports.time.now() + this.ports.time.scaled(HEALTH_CHECK_DELAY_MS);
    }
    this.advance();
  }

  setDesiredCapacity(desiredCapacity: number, reason: string): void {
    this.state.desiredCapacity = desiredCapacity;
    this.state.capacityReason = reason;
    this.state.lastScalingMs = this.ports.time.now();
  }

  /** Takes an instance out at a user's request, hooks included; a retained one goes at once. */
  terminate(instance: GroupInstance, cause: string): Activity {
    if (countsAsCapacity(instance)) return this.lifecycle.beginTermination(instance, cause, TAKEN_OUT);
    const running = activityOf(this.state, instance.activityId);
    if (instance.lifecycleState === 'Terminating:Retained') this.lifecycle.letGo(instance);
    return running ?? this.lifecycle.newActivity(instance, TERMINATING, cause);
  }

  /** Ends every machine at once, without hooks. */
  forceTerminate(): void {
    this.state.desiredCapacity = 0;
    for (const instance of [...this.state.instances]) {
      instance.actions = [];
      this.lifecycle.letGo(instance);
    }
  }

  private now(): number {
    return this.ports.time.now();
  }

  private isSuspended(process: string): boolean {
    return this.state.suspendedProcesses.includes(process);
  }

  private expireActions(): void {
    for (const instance of [...this.state.instances]) {
      for (const action of [...instance.actions]) {
        // An earlier one's ABANDON may have closed this one.
        if (action.deadlineMs > this.now() || !instance.actions.includes(action)) continue;
        const hook = this.state.hooks.find(({ LifecycleHookName }) => LifecycleHookName === action.hookName);
        this.lifecycle.complete(
          instance,
          action,
          hook?.DefaultResult ?? 'ABANDON',
          'Heartbeat Timeout elapsed',
        );
      }
    }
  }

  private replaceUnhealthy(): void {
    if (this.isSuspended('HealthCheck') || this.isSuspended('ReplaceUnhealthy')) return;
    for (const instance of this.state.instances.filter(countsAsCapacity)) {
      if (instance.unhealthyFromMs !== undefined && instance.unhealthyFromMs <= this.now()) {
        instance.healthStatus = 'Unhealthy';
      }
      if (instance.healthStatus === 'Healthy') continue;
      const check = instance.isMachineGone
        ? 'an EC2 health check indicating it has been terminated or stopped'
        : 'a user health-check';
      const cause = `At ${causeTime(this.now())} an instance was taken out of service in response to ${check}.`;
      this.lifecycle.beginTermination(instance, cause, UNHEALTHY);
    }
  }

  /** How many instances above the desired capacity the refresh wants now. */
  private stepRefresh(): number {
    const refresh = activeRefresh(this.state);
    if (refresh === undefined) return 0;
    const decision = decideRefresh(this.state, refresh);
    switch (decision.kind) {
      case 'replace':
        this.lifecycle.beginTermination(
          decision.instance,
          `At ${causeTime(this.now())} an instance was taken out of service in response to an instance refresh.`,
          TAKEN_OUT,
        );
        return 0;
      case 'finish':
        this.finishRefresh(refresh);
        return 0;
      case 'fail':
        this.failRefresh(refresh);
        return 0;
      case 'surge':
        return 1;
      case 'wait':
        return 0;
    }
  }

  private finishRefresh(refresh: InstanceRefresh): void {
    const [status, what] = (
      {
        InProgress: ['Successful', 'Succeeded'],
        RollbackInProgress: ['RollbackSuccessful', 'Rollback Succeeded'],
        Cancelling: ['Cancelled', 'Cancelled'],
      } as const
    )[refresh.status as 'InProgress' | 'RollbackInProgress' | 'Cancelling'];
    if (status === 'Successful' && refresh.desiredTemplate !== undefined)
      this.state.configuration.launchTemplate = refresh.desiredTemplate;
    refresh.status = status;
    refresh.endMs = this.now();
    this.ports.emit(refreshEvent(this.state, refresh.instanceRefreshId, what));
  }

  private failRefresh(refresh: InstanceRefresh): void {
    refresh.statusReason = 'Too many instances failed to launch.';
    if (refresh.status === 'InProgress' && refresh.preferences.autoRollback) {
      const template = this.resolvedTemplate();
      refresh.status = 'RollbackInProgress';
      refresh.launchFailures = 0;
      refresh.outdated = this.state.instances
        .filter(
          (instance) => countsAsCapacity(instance) && !isSameTemplate(instance.launchTemplate, template),
        )
        .map(({ instanceId }) => instanceId);
      this.ports.emit(refreshEvent(this.state, refresh.instanceRefreshId, 'Rollback Started'));
      return;
    }
    const isRollback = refresh.status === 'RollbackInProgress';
    refresh.status = isRollback ? 'RollbackFailed' : 'Failed';
    refresh.endMs = this.now();
    this.ports.emit(
      refreshEvent(this.state, refresh.instanceRefreshId, isRollback ? 'Rollback Failed' : 'Failed'),
    );
  }

  private meetCapacity(target: number): void {
    while (
      this.capacity() < target &&
      !this.isSuspended('Launch') &&
      this.state.launchNotBeforeMs <= this.now()
    ) {
      if (!this.launchOne()) return;
    }
    while (
      this.capacity() > target &&
      !this.isSuspended('Terminate') &&
      activeRefresh(this.state) === undefined
    ) {
      const { instances, configuration } = this.state;
      const victim = selectForTermination(
        instances.filter(countsAsCapacity),
        configuration.terminationPolicies,
      );
      if (victim === undefined) return;
      this.lifecycle.beginTermination(victim, this.scaleInCause(victim), TAKEN_OUT);
    }
    if (this.capacity() === this.state.desiredCapacity) this.state.capacityReason = '';
  }

  private scaleInCause({ instanceId }: GroupInstance): string {
    const at = `At ${causeTime(this.now())}`;
    const capacity = this.capacity();
    const reason = this.state.capacityReason === '' ? '' : `${this.state.capacityReason}  `;
    return `${reason}${at} an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from ${capacity} to ${capacity - 1}.  ${at} instance ${instanceId} was selected for termination.`;
  }

  private launchCause(): string {
    const at = `At ${causeTime(this.now())}`;
    if (this.state.capacityReason === '') {
      return `${at} an instance was launched in response to an unhealthy instance needing to be replaced.`;
    }
    const capacity = this.capacity();
    return `${this.state.capacityReason}  ${at} an instance was started in response to a difference between desired and actual capacity, increasing the capacity from ${capacity} to ${capacity + 1}.`;
  }

  private launchOne(): boolean {
    const cause = this.launchCause();
    const activity: Activity = {
      activityId: this.ports.time.newId(),
      startMs: this.now(),
      cause,
      transition: LAUNCHING,
      details: {
        'Availability Zone': this.state.configuration.availabilityZones[0] ?? '',
        'Subnet ID': this.state.configuration.subnetIds[0] ?? '',
      },
      description: 'Launching a new EC2 instance',
      status: 'PreInService',
      statusMessage: '',
      progress: 30,
      endMs: undefined,
    };
    addActivity(this.state, activity);
    let machine: ReturnType<Machines['launch']>;
    try {
      machine = this.ports.machines.launch(this.state, launchTemplateOf(this.state));
    } catch (error) {
      if (!(error instanceof LaunchFailure)) throw error;
      activity.description = `Launching a new EC2 instance.  Status Reason: ${error.message}`;
      this.lifecycle.failLaunch(activity, error.message);
      return false;
    }
    activity.description = `Launching a new EC2 instance: ${machine.instanceId}`;
    const { subnetId: _subnetId, ...facts } = machine;
    const instance: GroupInstance = {
      ...facts,
      launchedMs: this.now(),
      lifecycleState: 'Pending',
      healthStatus: 'Healthy',
      protectedFromScaleIn: false,
      actions: [],
      activityId: activity.activityId,
      inServiceMs: undefined,
      isMachineGone: false,
      unhealthyFromMs: undefined,
    };
    this.state.instances.push(instance);
    this.ports.changed(instance);
    return true;
  }
}
