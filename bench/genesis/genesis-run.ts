import { ChordfsError } from '../../domain/errors.ts';
import { memberKey, parseMember } from '../../domain/member-record.ts';
import { metaKey, parseMeta } from '../../domain/ring-meta.ts';
import { EVENT_SOURCES } from '../../domain/scaling-log.ts';
import { type ItemStore, NODE_PREFIX, ringPartition } from '../../domain/table-writes.ts';
import { timing } from '../../domain/timing.ts';
import { launchEvent } from '../../functions/events.ts';
import { onLaunch } from '../../functions/on-launch.ts';
import { reconcile } from '../../functions/reconcile.ts';
import { lifecycle } from '../../tests/control-plane/aws-events.ts';
import { FakeInstances } from '../../tests/control-plane/fake-group.ts';
import { ActorStore, Died, type Treatment } from './actor-store.ts';
import { MemoryItemStore } from './memory-item-store.ts';
import { SimulatedProcess } from './simulated-process.ts';
import { tableOf, type Variant } from './variants.ts';
import { VirtualWorld } from './virtual-world.ts';

const MINUTE_MS = 60_000;
const SIZE = 5;
const ROUGH_MINUTES = 15;
/** Longer than a creator's lease and a hook's longest join together: whatever is stuck has been given up by then. */
const QUIET_MINUTES = 60;
const ROUGH: Treatment = { deathChance: 0.06, freezeChance: 0.04, longestFreezeMs: 10 * MINUTE_MS };

export interface GenesisResult {
  /** What is not as promised; empty: one ring, with everybody in it. */
  readonly faults: readonly string[];
  readonly epochs: number;
  readonly deaths: number;
}

/**
 * Five instances launch at once. Their events are lost, late or doubled, functions and processes die at any write or
 * freeze for minutes; then everything works, and it is looked at what became of it. Handlers, claims, activation and
 * heartbeats are the product's own.
 */
export class GenesisRun {
  readonly world: VirtualWorld;
  readonly stage = 'genesis';
  readonly timing = timing(1);
  readonly variant: Variant;
  /** Who serves which ring, by the processes' own word. */
  readonly serving = new Map<string, string>();
  deaths = 0;
  readonly #table: ItemStore;
  readonly #instances = new FakeInstances();
  readonly #processes = new Map<string, SimulatedProcess>();
  #group: { instanceId: string; lifecycleState: string }[] = [];
  #isRough = true;
  #launched = 0;
  readonly #faults = new Set<string>();

  constructor(seed: number, variant: Variant) {
    this.world = new VirtualWorld(seed);
    this.variant = variant;
    this.#table = tableOf(variant, new MemoryItemStore());
  }

  async run(): Promise<GenesisResult> {
    for (let count = 0; count < SIZE; count++) this.#launch();
    void this.#reconcileEveryMinute();
    for (let minute = 0; minute < ROUGH_MINUTES + QUIET_MINUTES; minute++) {
      if (minute === ROUGH_MINUTES) this.#isRough = false;
      await this.world.run(MINUTE_MS);
      const rings = new Set(this.serving.values());
      if (rings.size > 1) this.#faults.add(`${rings.size} rings serve at once`);
    }
    await this.#judge();
    const meta = parseMeta(await this.#table.get(metaKey(this.stage)));
    return { faults: [...this.#faults], epochs: meta.epoch, deaths: this.deaths };
  }

  store(): ActorStore {
    return new ActorStore(this.world, this.#table, () => (this.#isRough ? ROUGH : undefined));
  }

  /** The process of an instance is over: the machine starts it again, or is lost and replaced. */
  ended(instanceId: string, how: 'died' | 'givenUp'): void {
    this.deaths += 1;
    this.serving.delete(instanceId);
    const isRestarted = how === 'died' && (!this.#isRough || this.world.dice.chance(0.5));
    if (isRestarted) void this.world.wait(5_000).then(() => this.#processes.get(instanceId)?.start());
    else this.#lose(instanceId);
  }

  #launch(): void {
    const instanceId = `i-${this.#launched++}`;
    this.#group.push({ instanceId, lifecycleState: 'Pending:Wait' });
    const process = new SimulatedProcess(this, instanceId);
    this.#processes.set(instanceId, process);
    void this.world.wait(this.world.dice.between(1_000, 60_000)).then(() => process.start());
    const { dice } = this.world;
    const copies = this.#isRough ? dice.integer(0, 3) : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delayMs =
        this.#isRough && dice.chance(0.2) ? dice.between(0, 10 * MINUTE_MS) : dice.between(0, 3_000);
      void this.world.wait(delayMs).then(() => this.#deliver(instanceId, 1));
    }
  }

  /** As Lambda does: an invocation that fails is repeated twice. */
  async #deliver(instanceId: string, attempt: number): Promise<void> {
    try {
      await onLaunch(this.#dependencies())(launchEvent.parse(lifecycle('launch', instanceId)));
    } catch {
      if (attempt < 3) await this.world.wait(MINUTE_MS).then(() => this.#deliver(instanceId, attempt + 1));
    }
  }

  async #reconcileEveryMinute(): Promise<void> {
    for (;;) {
      await this.world.wait(MINUTE_MS);
      await reconcile(this.#dependencies())({ 'detail-type': 'Scheduled Event' }).catch(() => undefined);
    }
  }

  #lose(instanceId: string): void {
    this.#instances.stateOf.set(instanceId, 'terminated');
    this.serving.delete(instanceId);
    this.#processes.get(instanceId)?.stop();
    const isKnown = this.#group.some((instance) => instance.instanceId === instanceId);
    this.#group = this.#group.filter((instance) => instance.instanceId !== instanceId);
    if (isKnown) this.#launch();
  }

  completed(instanceId: string): void {
    this.#group = this.#group.map((instance) =>
      instance.instanceId === instanceId ? { instanceId, lifecycleState: 'InService' } : instance,
    );
  }

  #dependencies() {
    const view = { minSize: 1, maxSize: 10, desiredCapacity: SIZE, instances: this.#group };
    return {
      ...{ stage: this.stage, timing: this.timing, store: this.store(), now: () => this.world.nowMs },
      bus: { sources: EVENT_SOURCES, put: () => Promise.resolve() },
      group: {
        describe: () => Promise.resolve(view),
        completeLifecycleAction: (action: { readonly instanceId: string; readonly result: string }) => {
          if (action.result === 'ABANDON') this.#lose(action.instanceId);
          else this.completed(action.instanceId);
          return Promise.resolve('completed' as const);
        },
        setDesiredCapacity: () => Promise.resolve(),
        terminate: () => Promise.resolve(),
        setUnhealthy: (instanceId: string) => Promise.resolve(this.#lose(instanceId)),
      },
      instances: this.#instances,
      alarm: { state: () => Promise.resolve({ isAlarming: false, sinceMs: 0 }) },
      metrics: { putDrift: () => Promise.resolve() },
      ...{ thresholdPercent: 70, isScaleInOn: false, launchHook: 'launch', terminateHook: 'terminate' },
      newRingId: () => `ring-${this.world.dice.integer(0, 2 ** 31)}`,
      wait: (ms: number) => this.world.wait(ms),
    };
  }

  /** Exactly one ring id, every machine in it, and a walk along successors that visits all. */
  async #judge(): Promise<void> {
    const meta = parseMeta(await this.#table.get(metaKey(this.stage)));
    const rows = await this.#table.list(ringPartition(this.stage), NODE_PREFIX);
    const active = rows.flatMap((row) => parseMember(row) ?? []).filter(({ state }) => state === 'ACTIVE');
    if (meta.status !== 'ACTIVE') this.#faults.add(`the ring is ${meta.status}`);
    if (new Set(active.map(({ ringId }) => ringId)).size !== 1)
      this.#faults.add('not exactly one ring id is ACTIVE');
    const visited = new Set<string>();
    const ring = active.filter(({ instanceId }) => this.serving.get(instanceId) === meta.ringId);
    const byId = [...ring].sort((a, b) => Number(a.position) - Number(b.position));
    for (let at = byId[0]; at !== undefined && !visited.has(at.instanceId); ) {
      visited.add(at.instanceId);
      at = byId[(byId.indexOf(at) + 1) % byId.length];
    }
    if (new Set(byId.map(({ position }) => position)).size !== byId.length)
      this.#faults.add('two share a position');
    const missed = this.#group.filter(({ instanceId }) => !visited.has(instanceId));
    for (const { instanceId } of missed)
      this.#faults.add(`${instanceId} ${await this.#standing(instanceId)}`);
  }

  async #standing(instanceId: string): Promise<string> {
    const row = await this.#table.get(memberKey(this.stage, instanceId));
    return `is not in the ring: its row is ${row?.['state'] ?? 'absent'}, it serves ${this.serving.get(instanceId) ?? 'nothing'}`;
  }
}

/** Whether the process ends because of it, and how. */
export function endOf(error: unknown): 'died' | 'givenUp' {
  return error instanceof ChordfsError && error.code === 'FORBIDDEN' && !(error instanceof Died)
    ? 'givenUp'
    : 'died';
}
