import type { Emit } from '../service.ts';
import { activityOf, addActivity, causeTime, lifecycleEvent, resultEvent } from './activities.ts';
import {
  type ActionResult,
  type Activity,
  type GroupInstance,
  type GroupState,
  LAUNCHING,
  type LifecycleAction,
  type LifecycleState,
  type LifecycleTransition,
  TERMINATING,
} from './group-state.ts';
import { endAction, type GroupTime, openActions } from './lifecycle-actions.ts';
import { activeRefresh } from './refresh.ts';

/** What the lifecycle of an instance reaches outside for. */
export interface LifecyclePorts {
  readonly time: GroupTime;
  readonly emit: Emit;
  /** Cloud ms between `*:Wait` being visible and being completable. */
  completionDelayMs(): number;
  /** After every change of an instance's lifecycle state. */
  changed(instance: GroupInstance): void;
  /** Ends the machine; `machineGone` follows later, never within the call. */
  terminate(instanceId: string): void;
}

/** Between failed launches, doubling: AWS slows down and finally suspends a group. */
const FIRST_BACKOFF_MS = 15_000;
const MAX_BACKOFF_MS = 10 * 60_000;

/**
 * How one instance moves through the states of AWS's lifecycle diagram:
 * Pending, Pending:Wait, Pending:Proceed, InService, Terminating, Terminating:Wait, Terminating:Proceed, Terminated,
 * with the activity log and the events that belong to each step. When to launch or end one is the group's business.
 */
export class InstanceLifecycle {
  private readonly state: GroupState;
  private readonly ports: LifecyclePorts;

  constructor(state: GroupState, ports: LifecyclePorts) {
    this.state = state;
    this.ports = ports;
  }

  /** One hook's answer, or its default result after a timeout. `how` ends the sentence in the activity log. */
  complete(instance: GroupInstance, action: LifecycleAction, result: ActionResult, how: string): void {
    const { waitIsOver } = endAction(instance, action, result);
    if (!waitIsOver) return;
    if (instance.lifecycleState === 'Pending:Wait') {
      if (result === 'CONTINUE') this.enterService(instance);
      else this.abandonLaunch(instance, action.token, how);
    } else if (instance.lifecycleState === 'Terminating:Wait') {
      const isKept = result === 'ABANDON' && this.state.configuration.terminateHookAbandon === 'retain';
      if (isKept) this.retain(instance, action.token, how);
      else this.letGo(instance);
    }
  }

  wait(instance: GroupInstance, transition: LifecycleTransition): void {
    const opened = openActions(
      this.state,
      instance,
      transition,
      this.ports.time,
      this.ports.completionDelayMs(),
    );
    if (opened.length === 0) {
      if (transition === LAUNCHING) this.enterService(instance);
      else this.letGo(instance);
      return;
    }
    const activity = activityOf(this.state, instance.activityId);
    if (activity !== undefined) activity.status = 'MidLifecycleAction';
    this.move(instance, transition === LAUNCHING ? 'Pending:Wait' : 'Terminating:Wait');
    for (const { hook, action } of opened)
      this.ports.emit(lifecycleEvent(this.state, instance, hook, action));
  }

  private enterService(instance: GroupInstance): void {
    this.move(instance, 'Pending:Proceed');
    instance.inServiceMs = this.now();
    instance.protectedFromScaleIn = this.state.configuration.newInstancesProtectedFromScaleIn;
    this.state.failedLaunches = 0;
    this.move(instance, 'InService');
    this.succeed(instance);
  }

  private succeed(instance: GroupInstance): void {
    const activity = activityOf(this.state, instance.activityId);
    if (activity === undefined) return;
    activity.status = 'Successful';
    activity.progress = 100;
    activity.endMs = this.now();
    this.ports.emit(resultEvent(this.state, activity, instance.instanceId, true));
  }

  private abandonLaunch(instance: GroupInstance, token: string, how: string): void {
    const cause = `At ${causeTime(this.now())} an instance was taken out of service in response to its launch lifecycle action being abandoned.`;
    const message = `Instance failed to complete user's Lifecycle Action: Lifecycle Action with token ${token} was abandoned: ${how}`;
    this.beginTermination(instance, cause, { message, isFailure: true });
  }

  newActivity(instance: GroupInstance, transition: LifecycleTransition, cause: string): Activity {
    const before = activityOf(this.state, instance.activityId);
    return addActivity(this.state, {
      activityId: this.ports.time.newId(),
      startMs: this.now(),
      cause,
      transition,
      details: before?.details ?? { 'Availability Zone': instance.availabilityZone, 'Subnet ID': '' },
      description: `Terminating EC2 instance: ${instance.instanceId}`,
      status: 'InProgress',
      statusMessage: '',
      progress: 0,
      endMs: undefined,
    });
  }

  /**
   * Takes an instance out, through its terminate hooks. One that was still launching ends that activity with
   * `launchEnd`; only failures slow down the next launch.
   */
  beginTermination(
    instance: GroupInstance,
    cause: string,
    launchEnd: { readonly message: string; readonly isFailure: boolean },
  ): Activity {
    if (instance.lifecycleState !== 'InService') {
      const launch = activityOf(this.state, instance.activityId);
      if (launch !== undefined) {
        if (launchEnd.isFailure) this.slowDown(instance.isMachineGone || this.state.failedLaunches > 0);
        this.endLaunch(launch, instance.instanceId, 'Cancelled', launchEnd.message);
      }
    }
    const activity = this.newActivity(instance, TERMINATING, cause);
    instance.activityId = activity.activityId;
    instance.actions = [];
    this.move(instance, 'Terminating');
    this.wait(instance, TERMINATING);
    return activity;
  }

  /** Nothing holds the instance any more. */
  letGo(instance: GroupInstance): void {
    if (instance.lifecycleState === 'Terminated' || instance.lifecycleState === 'Terminating:Proceed') return;
    const activity = activityOf(this.state, instance.activityId);
    if (activity !== undefined) activity.status = 'InProgress';
    this.move(instance, 'Terminating:Proceed');
    this.ports.terminate(instance.instanceId);
  }

  private retain(instance: GroupInstance, token: string, how: string): void {
    const activity = activityOf(this.state, instance.activityId);
    if (activity !== undefined) {
      activity.status = 'Cancelled';
      activity.statusMessage = `Lifecycle Action with token ${token} was abandoned: ${how}. The instance is retained.`;
      activity.endMs = this.now();
      this.ports.emit(resultEvent(this.state, activity, instance.instanceId, false));
    }
    this.move(instance, 'Terminating:Retained');
    if (instance.isMachineGone) this.bury(instance);
  }

  bury(instance: GroupInstance): void {
    this.state.instances = this.state.instances.filter((other) => other !== instance);
    this.move(instance, 'Terminated');
    this.succeed(instance);
  }

  /** EC2 refused the launch. */
  failLaunch(activity: Activity, message: string): void {
    this.slowDown(true);
    this.endLaunch(activity, '', 'Failed', message);
  }

  private endLaunch(
    activity: Activity,
    instanceId: string,
    status: 'Failed' | 'Cancelled',
    message: string,
  ): void {
    activity.status = status;
    activity.statusMessage = message;
    activity.progress = 100;
    activity.endMs = this.now();
    this.ports.emit(resultEvent(this.state, activity, instanceId, false));
  }

  /** Counts a failed launch; the first abandoned one is replaced at once, later ones after a growing pause. */
  private slowDown(pauses: boolean): void {
    const backoffMs = Math.min(
      FIRST_BACKOFF_MS * 2 ** Math.min(this.state.failedLaunches, 10),
      MAX_BACKOFF_MS,
    );
    this.state.failedLaunches++;
    if (pauses) this.state.launchNotBeforeMs = this.now() + this.ports.time.scaled(backoffMs);
    const refresh = activeRefresh(this.state);
    if (refresh !== undefined) refresh.launchFailures++;
  }

  private move(instance: GroupInstance, lifecycleState: LifecycleState): void {
    instance.lifecycleState = lifecycleState;
    this.ports.changed(instance);
  }

  private now(): number {
    return this.ports.time.now();
  }
}
