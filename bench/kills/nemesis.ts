import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetProcess } from '../fleet/fleet-process.ts';
import { whenHealthy } from './health.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface NemesisOptions {
  readonly fleet: Fleet;
  readonly random: SeededRandom;
  readonly names: readonly string[];
  readonly log: (line: string) => void;
}

/** The ring is brought back to this size between two faults. */
const BASE_SIZE = 5;
const HEAL_TIMEOUT_MS = 90_000;
/** Longest time that something goes on before it is struck in the middle. */
const MAX_HEAD_START_MS = 2_500;
const FREEZES_MS = [1_000, 4_000, 9_000, 15_000] as const;

/**
 * Decides what is done to the ring, when and to whom, from a seed. The promise is about R-1 losses in a healthy ring, so
 * each fault begins when every file has all its copies again; within one fault everything happens at once.
 */
export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #serving = new Set<FleetProcess>();
  readonly counts: Record<string, number> = {};
  readonly healMs: number[] = [];

  constructor(options: NemesisOptions) {
    this.#options = options;
    for (const node of options.fleet.nodes.values()) this.#serving.add(node);
  }

  /** Nodes that clients may ask. */
  serving = (): readonly FleetProcess[] => [...this.#serving].filter(({ isAnswering }) => isAnswering);

  async strike(): Promise<void> {
    const { random, log } = this.#options;
    const [name, fault] = random.pick(Object.entries(this.#faults()));
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    const startedMs = performance.now();
    await fault();
    const struckMs = performance.now();
    await this.#heal();
    const healedMs = performance.now();
    this.healMs.push(healedMs - struckMs);
    log(
      `${name}: took ${seconds(struckMs - startedMs)}, all copies on ${this.serving().length} nodes ` +
        `${seconds(healedMs - struckMs)} later`,
    );
    await this.#backToSize();
  }

  #faults(): Record<string, () => Promise<void>> {
    return {
      'one killed, restarted': () => this.#kill(1, { comesBack: true }),
      'one killed for good': () => this.#kill(1, { comesBack: false }),
      'two killed at once, restarted': () => this.#kill(2, { comesBack: true }),
      'two killed at once for good': () => this.#kill(2, { comesBack: false }),
      'two killed at once, one restarted': () => this.#kill(2, { comesBack: 'one' }),
      'one joins': async () => void (await this.#join()),
      'one leaves': () => this.#leave(this.#pick()),
      'joiner killed while it joins': () => this.#killJoiner(),
      'member killed while another joins': () => this.#killDuringJoin(),
      'leaver killed half-way': () => this.#killLeaver(),
      'member killed while another leaves': () => this.#killDuringLeave(),
      'one frozen, then awake': () => this.#freeze(),
      'one leaves while another joins': () => this.#leaveDuringJoin(),
    };
  }

  #pick(...besides: readonly FleetProcess[]): FleetProcess {
    return this.#options.random.pick(this.serving().filter((node) => !besides.includes(node)));
  }

  async #headStart(): Promise<void> {
    await pause(this.#options.random.next() * MAX_HEAD_START_MS);
  }

  async #kill(count: 1 | 2, { comesBack }: { readonly comesBack: boolean | 'one' }): Promise<void> {
    const { random } = this.#options;
    const first = this.#pick();
    const victims = count === 1 ? [first] : [first, this.#pick(first)];
    for (const victim of victims) this.#serving.delete(victim);
    await Promise.all(victims.map((victim) => victim.kill()));
    // Before, around and after the moment when the others notice.
    await pause(random.next() * 3_000);
    for (const [i, victim] of victims.entries()) {
      if (comesBack === true || (comesBack === 'one' && i === 0)) await this.#restart(victim);
      else await this.#options.fleet.forget(victim);
    }
  }

  async #restart(node: FleetProcess): Promise<void> {
    node.start();
    await this.#options.fleet.whenServing(node, HEAL_TIMEOUT_MS);
    this.#serving.add(node);
  }

  async #join(): Promise<FleetProcess> {
    const node = await this.#options.fleet.launch();
    await this.#options.fleet.whenServing(node, HEAL_TIMEOUT_MS);
    this.#serving.add(node);
    return node;
  }

  async #leave(node: FleetProcess): Promise<void> {
    const code = await node.leave();
    this.#serving.delete(node);
    if (code !== 0 && code !== null) throw new Error(`${node.spec.instanceId} left with code ${code}`);
    this.#options.fleet.nodes.delete(node.spec.instanceId);
  }

  async #killForGood(node: FleetProcess): Promise<void> {
    this.#serving.delete(node);
    await node.kill();
    await this.#options.fleet.forget(node);
  }

  async #killJoiner(): Promise<void> {
    const node = await this.#options.fleet.launch();
    await this.#headStart();
    await this.#killForGood(node);
  }

  async #killDuringJoin(): Promise<void> {
    const joining = this.#join();
    joining.catch(() => undefined);
    await this.#headStart();
    await this.#killForGood(this.#pick());
    await joining;
  }

  async #killLeaver(): Promise<void> {
    const leaver = this.#pick();
    const leaving = leaver.leave();
    await this.#headStart();
    this.#serving.delete(leaver);
    await leaver.kill();
    await leaving;
    await this.#options.fleet.forget(leaver);
  }

  async #killDuringLeave(): Promise<void> {
    const leaver = this.#pick();
    const leaving = this.#leave(leaver);
    leaving.catch(() => undefined);
    await this.#headStart();
    await this.#killForGood(this.#pick(leaver));
    await leaving;
  }

  async #leaveDuringJoin(): Promise<void> {
    const leaver = this.#pick();
    const joining = this.#join();
    joining.catch(() => undefined);
    await this.#headStart();
    await this.#leave(leaver);
    await joining;
  }

  async #freeze(): Promise<void> {
    const node = this.#pick();
    node.freeze();
    await pause(this.#options.random.pick(FREEZES_MS));
    node.thaw();
    await this.#options.fleet.whenServing(node, HEAL_TIMEOUT_MS);
  }

  async #heal(): Promise<void> {
    const { fleet, names } = this.#options;
    await whenHealthy(fleet, { nodes: this.serving(), names, timeoutMs: HEAL_TIMEOUT_MS });
  }

  async #backToSize(): Promise<void> {
    while (this.serving().length < BASE_SIZE) {
      await this.#join();
      await this.#heal();
    }
    while (this.serving().length > BASE_SIZE + 1) {
      await this.#leave(this.#pick());
      await this.#heal();
    }
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
