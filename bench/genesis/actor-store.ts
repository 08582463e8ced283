import type { ItemKey, ItemStore, StoredItem, TableWrite } from '../../domain/table-writes.ts';
import type { VirtualWorld } from './virtual-world.ts';

/** The process ended in the middle of what it did. */
export class Died extends Error {
  override readonly name = 'Died';
}

/** How badly one process is treated. All of it ends when the quiet begins. */
export interface Treatment {
  /** Chance per write that the process dies, before it or right after it. */
  readonly deathChance: number;
  /** Chance per call that the process freezes, for up to the longest time. */
  readonly freezeChance: number;
  readonly longestFreezeMs: number;
}

const KIND: Treatment = { deathChance: 0, freezeChance: 0, longestFreezeMs: 0 };
const LATENCY_MS = 20;

/** The table as one process reaches it: every call takes its time, and may be the process's last. */
export class ActorStore implements ItemStore {
  readonly #world: VirtualWorld;
  readonly #table: ItemStore;
  readonly #treatment: () => Treatment;
  isDead = false;

  constructor(world: VirtualWorld, table: ItemStore, treatment: () => Treatment | undefined) {
    this.#world = world;
    this.#table = table;
    this.#treatment = () => treatment() ?? KIND;
  }

  async get(key: ItemKey): Promise<StoredItem | undefined> {
    await this.#step();
    return await this.#table.get(key);
  }

  async list(pk: string, skPrefix: string): Promise<readonly StoredItem[]> {
    await this.#step();
    return await this.#table.list(pk, skPrefix);
  }

  async write(write: TableWrite): Promise<boolean> {
    await this.#step();
    this.#mayDie();
    const outcome = await this.#table.write(write);
    this.#mayDie();
    return outcome;
  }

  async #step(): Promise<void> {
    const { dice } = this.#world;
    const { freezeChance, longestFreezeMs } = this.#treatment();
    const frozenMs = dice.chance(freezeChance) ? dice.between(1_000, longestFreezeMs) : 0;
    await this.#world.wait(dice.exponential(LATENCY_MS) + frozenMs);
    if (this.isDead) throw new Died('ended while it waited');
  }

  #mayDie(): void {
    if (!this.#world.dice.chance(this.#treatment().deathChance / 2)) return;
    this.isDead = true;
    throw new Died('in the middle of a write');
  }
}
