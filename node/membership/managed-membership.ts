import assert from 'node:assert/strict';
import type { Member } from '../../domain/member.ts';
import type { NodeUsage } from '../../domain/node-usage.ts';
import type { Registry } from '../ring/registry.ts';
import { activate, registerLife } from './activation.ts';
import { repeat } from './background-task.ts';
import { awaitAssignment, contacts } from './boot.ts';
import { isDrainPointless, markFailed, markGone, markLeaving } from './departure.ts';
import { DynamodbRegistry } from './dynamodb-registry.ts';
import { beat } from './heartbeats.ts';
import { completeFully, keepOpen, type LifecycleActions } from './lifecycle-actions.ts';
import type { Assignment, Membership, MembershipListener, NodeIdentity } from './membership.ts';
import { type MembershipContext, quietPublisher } from './membership-context.ts';

export interface ManagedMembershipOptions
  extends Omit<MembershipContext, 'identity' | 'actions' | 'publish'> {
  readonly actionsOf: (instanceId: string) => LifecycleActions;
}

/** Seeds of a node that comes back: everybody it may know. */
const MOST_CONTACTS = 16;

/** Membership under the control plane; every step of `Membership` in the order documented there. */
export class ManagedMembership implements Membership {
  readonly #options: ManagedMembershipOptions;
  readonly #stopped = new AbortController();
  #context: MembershipContext | undefined;
  #assignment: Assignment | undefined;
  /** Ends the lifecycle heartbeats of the launch or the terminate action, on every way out of it. */
  #openAction: { readonly hookName: string; readonly ended: AbortController } | undefined;
  #incarnation = 0;
  /** Between `becomeActive` and the end of that life. */
  #isActive = false;
  /** Ends the heartbeats of an earlier life. */
  #beating = new AbortController();
  #isDraining = false;
  #isFenced = false;
  #listener: MembershipListener | undefined;

  constructor(options: ManagedMembershipOptions) {
    this.#options = options;
  }

  async identify(signal: AbortSignal): Promise<NodeIdentity> {
    const options = this.#options;
    const identity = await this.#knowYourself(signal);
    this.#context = {
      ...options,
      identity,
      actions: options.actionsOf(identity.instanceId),
      publish: quietPublisher(options),
    };
    return identity;
  }

  async awaitAssignment(options: Parameters<Membership['awaitAssignment']>[0]): Promise<Assignment> {
    const signal = this.#until(options.signal);
    const { remembered } = options;
    const context = this.#known();
    this.#isFenced = false;
    // From the first moment: waiting for a place may take longer than the hook is patient.
    this.#keepOpen(context.launchHook, context.timing.joinLongestMs);
    try {
      this.#assignment = await awaitAssignment(context, { signal, remembered });
    } catch (error) {
      this.#endAction(context.launchHook);
      throw error;
    }
    if (this.#assignment.role === 'resumed') this.#endAction(context.launchHook);
    return this.#assignment;
  }

  async startJoining({ incarnation }: Parameters<Membership['startJoining']>[0]): Promise<void> {
    this.#isActive = false;
    this.#incarnation = incarnation;
    const state = await registerLife(this.#known(), this.#assigned(), incarnation);
    // A member that resumes its place is not activated again.
    this.#isActive = state === 'ACTIVE';
  }

  async contacts(signal: AbortSignal): Promise<readonly Member[]> {
    signal.throwIfAborted();
    return await contacts(this.#known(), this.#assigned().ringId, MOST_CONTACTS);
  }

  registry(): Registry {
    const { store, stage, now } = this.#known();
    return new DynamodbRegistry({ store, stage, now, ringId: this.#assigned().ringId });
  }

  async becomeActive(signal: AbortSignal): Promise<'active' | 'fenced'> {
    signal.throwIfAborted();
    const context = this.#known();
    const outcome = await activate(context, this.#assigned());
    this.#isActive = outcome === 'active';
    if (outcome === 'active') {
      // Serving does not wait for Auto Scaling: completion goes on behind it, with the reconciler as backstop.
      void this.#complete(context.launchHook, 'CONTINUE', this.#stopped.signal);
    } else {
      this.#endAction(context.launchHook);
    }
    return outcome;
  }

  startHeartbeats(usage: () => NodeUsage | Promise<NodeUsage>): void {
    const context = this.#known();
    this.#beating.abort();
    const beating = new AbortController();
    this.#beating = beating;
    this.#background('heartbeat', context.timing.heartbeatMs, async () => {
      if (beating.signal.aborted) return 'stop';
      if (this.#assignment === undefined || this.#isFenced) return undefined;
      const life = { assignment: this.#assignment, incarnation: this.#incarnation, isActive: this.#isActive };
      const standing = await beat(context, life, await this.#measure(usage));
      if (standing.kind === 'fenced') this.#fence(standing.reason);
      else if (standing.state === 'LEAVING') await this.#drain(standing.reason ?? 'row LEAVING');
      return undefined;
    });
  }

  watch(listener: MembershipListener): void {
    assert(this.#listener === undefined, 'watch is called once');
    this.#listener = listener;
    const { metadata, timing } = this.#known();
    this.#background('metadata watch', timing.metadataPollMs, async (signal) => {
      const spot = await metadata.spotNotice(signal);
      const target = await metadata.targetLifecycleState(signal);
      if (target === 'Terminated') await this.#drain('instance metadata: target state Terminated');
      else if (spot !== undefined) await this.#drain('instance metadata: Spot interruption');
      return this.#isDraining ? 'stop' : undefined;
    });
  }

  async leave({ reason, isDrained, signal }: Parameters<Membership['leave']>[0]): Promise<void> {
    const context = this.#known();
    const assignment = this.#assigned();
    await this.#insist('leave', signal, () => markGone(context, assignment, { reason, isDrained }));
    // Both end in termination, but for a group that keeps instances whose files nobody has taken: it asks for ABANDON.
    await this.#complete(context.terminateHook, isDrained ? 'CONTINUE' : 'ABANDON', this.#until(signal));
  }

  async fail({ reason, signal }: Parameters<Membership['fail']>[0]): Promise<void> {
    const context = this.#known();
    const assignment = this.#assignment;
    if (assignment !== undefined) {
      await this.#insist('fail', signal, () => markFailed(context, assignment, reason));
    }
    await this.#complete(context.launchHook, 'ABANDON', this.#until(signal));
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Tells the listener to drain, once, whichever of the ways the news came. */
  async #drain(cause: string): Promise<void> {
    const listener = this.#listener;
    if (this.#isDraining || listener === undefined || this.#assignment === undefined) return;
    this.#isDraining = true;
    const context = this.#known();
    this.#keepOpen(context.terminateHook, context.timing.drainLongestMs);
    let skip = false;
    try {
      await markLeaving(context, this.#assignment, cause);
      skip = await isDrainPointless(context, this.#assignment);
    } catch (error) {
      // Without the table nobody knows whether others are left: handing over is the safe way.
      context.log('warn', 'draining without the member table', { error: String(error) });
    }
    listener.drain({ cause, skip });
  }

  /** A metadata service that is slow to answer on a busy machine is no reason to end the process and start it anew. */
  async #knowYourself(signal: AbortSignal): Promise<NodeIdentity> {
    const { metadata, timing, log } = this.#options;
    let identity: NodeIdentity | undefined;
    await repeat({
      name: 'identify',
      periodMs: timing.metadataPollMs,
      signal: this.#until(signal),
      log,
      work: async (until) => {
        identity = await metadata.identity(until);
        return 'stop';
      },
    });
    signal.throwIfAborted();
    assert(identity !== undefined, 'stopped before the node knew who it is');
    return identity;
  }

  #fence(reason: string): void {
    if (this.#isFenced || this.#isDraining) return;
    this.#isFenced = true;
    this.#listener?.fenced(reason);
  }

  #keepOpen(hookName: string, longestMs: number): void {
    this.#openAction?.ended.abort();
    const ended = new AbortController();
    this.#openAction = { hookName, ended };
    const { actions, timing, log } = this.#known();
    const signal = AbortSignal.any([ended.signal, this.#stopped.signal]);
    const { lifecycleHeartbeatMs: periodMs, completeRetryMs: retryMs } = timing;
    void keepOpen({ actions, hookName, periodMs, retryMs, longestMs, signal, log });
  }

  /** The other action stays open: a drain may begin before the launch action is completed. */
  #endAction(hookName: string): void {
    if (this.#openAction?.hookName === hookName) this.#openAction.ended.abort();
  }

  async #complete(hookName: string, result: 'CONTINUE' | 'ABANDON', signal: AbortSignal): Promise<void> {
    this.#endAction(hookName);
    const { actions, timing, log } = this.#known();
    const { completeRetryMs: retryMs, completeLongestMs: longestMs } = timing;
    await completeFully({ actions, hookName, result, retryMs, longestMs, signal, log });
  }

  /** Repeats a write until the table takes it: the row must tell before the instance goes. */
  async #insist(name: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { timing, log } = this.#known();
    const options = { name, periodMs: timing.completeRetryMs, signal: this.#until(signal), log };
    await repeat({
      ...options,
      work: async () => {
        await work();
        return 'stop';
      },
    });
  }

  async #measure(usage: () => NodeUsage | Promise<NodeUsage>): Promise<NodeUsage | undefined> {
    try {
      return await usage();
    } catch (error) {
      this.#known().log('warn', 'usage not measured', { error: String(error) });
      return undefined;
    }
  }

  #background(
    name: string,
    periodMs: number,
    work: (signal: AbortSignal) => Promise<'stop' | undefined>,
  ): void {
    // Never less often because of failures: what is not heard of for some periods is taken for dead.
    void repeat({
      name,
      periodMs,
      retryMs: periodMs,
      signal: this.#stopped.signal,
      log: this.#known().log,
      work,
    });
  }

  #until(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#stopped.signal]);
  }

  #known(): MembershipContext {
    assert(this.#context !== undefined, 'identify comes first');
    return this.#context;
  }

  #assigned(): Assignment {
    assert(this.#assignment !== undefined, 'awaitAssignment comes first');
    return this.#assignment;
  }
}
