import { EVENT_SOURCES } from '../../domain/scaling-log.ts';
import { activate, registerLife } from '../../node/membership/activation.ts';
import { lookOnce, type Remembered } from '../../node/membership/boot.ts';
import { beat } from '../../node/membership/heartbeats.ts';
import type { Assignment } from '../../node/membership/membership.ts';
import type { MembershipContext } from '../../node/membership/membership-context.ts';
import type { ActorStore } from './actor-store.ts';
import { endOf, type GenesisRun } from './genesis-run.ts';

/**
 * A node's process without its data plane: asks for its place, forms or joins a ring, activates, reports. The ring
 * itself is its id: two processes with one id are in one ring, and nobody gets in but through one that serves it.
 */
export class SimulatedProcess {
  readonly #run: GenesisRun;
  readonly #instanceId: string;
  #store: ActorStore | undefined;
  #incarnation = 0;
  #remembered: Remembered | undefined;
  #isLost = false;

  constructor(run: GenesisRun, instanceId: string) {
    this.#run = run;
    this.#instanceId = instanceId;
  }

  /** A new life: what was remembered is on the disk, everything else is gone. */
  start(): void {
    if (this.#isLost) return;
    this.#incarnation += 1;
    this.#store = this.#run.store();
    this.#live(this.#context(this.#store)).catch((error: unknown) => {
      if (!this.#isLost) this.#run.ended(this.#instanceId, endOf(error));
    });
  }

  /** The machine is no more. */
  stop(): void {
    this.#isLost = true;
    if (this.#store !== undefined) this.#store.isDead = true;
  }

  async #live(context: MembershipContext): Promise<never> {
    const { world, timing, serving } = this.#run;
    const bootedMs = world.nowMs;
    for (;;) {
      const isPatient = world.nowMs - bootedMs < timing.selfClaimAfterMs;
      const assignment = await lookOnce(context, { remembered: this.#remembered, isPatient });
      const isIn = assignment !== undefined && (await this.#enter(context, assignment));
      if (assignment !== undefined && isIn) await this.#serve(context, assignment);
      serving.delete(this.#instanceId);
      await world.wait(world.dice.between(timing.rowPollFirstMs, timing.rowPollLongestMs));
    }
  }

  async #enter(context: MembershipContext, assignment: Assignment): Promise<boolean> {
    const { world, serving } = this.#run;
    const { role, ringId, position } = assignment;
    // A seed of another ring refuses the handshake; a dead one does not answer.
    const hasSeed = assignment.seeds.some(({ instanceId }) => serving.get(instanceId) === ringId);
    await registerLife(context, assignment, this.#incarnation);
    if (role === 'joiner' && !hasSeed) return false;
    this.#remembered = { ringId, position };
    await world.wait(world.dice.between(500, 20_000));
    await beat(context, this.#lifeOf(assignment, false), undefined);
    return this.#accepts(await activate(context, assignment));
  }

  async #serve(context: MembershipContext, assignment: Assignment): Promise<void> {
    const { world, timing, serving } = this.#run;
    serving.set(this.#instanceId, assignment.ringId);
    this.#run.completed(this.#instanceId);
    for (;;) {
      await world.wait(timing.heartbeatMs);
      const { kind } = await beat(context, this.#lifeOf(assignment, true), undefined);
      if (!this.#accepts(kind)) return;
    }
  }

  #lifeOf(assignment: Assignment, isActive: boolean) {
    return { assignment, incarnation: this.#incarnation, isActive };
  }

  /** Without fencing, a creator that overslept goes on as if nothing had happened. */
  #accepts(verdict: 'active' | 'member' | 'fenced'): boolean {
    return verdict !== 'fenced' || this.#run.variant === 'withoutFencing';
  }

  #context(store: ActorStore): MembershipContext {
    const { stage, timing, world } = this.#run;
    const [instanceId, address] = [this.#instanceId, '127.25.0.1'];
    return {
      ...{ stage, timing, store, launchHook: 'launch', terminateHook: 'terminate' },
      identity: { instanceId, privateIp: address, publicIp: address, availabilityZone: 'a' },
      bus: { sources: EVENT_SOURCES, put: () => Promise.resolve() },
      actions: { complete: () => Promise.resolve('completed'), heartbeat: () => Promise.resolve() },
      metadata: {
        identity: () => Promise.reject(new Error('known')),
        targetLifecycleState: () => Promise.resolve(undefined),
        spotNotice: () => Promise.resolve(undefined),
      },
      now: () => world.nowMs,
      log: () => undefined,
      publish: () => Promise.resolve(),
    };
  }
}
