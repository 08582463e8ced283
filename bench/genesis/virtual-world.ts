import { setImmediate as breathe } from 'node:timers/promises';
import { Dice } from '../../tests/simulation/random.ts';

interface Turn {
  readonly atMs: number;
  readonly order: number;
  readonly go: () => void;
}

/**
 * Virtual time and one scheduler for all actors: each says when it wants to go on, and the dice say how long the next
 * step takes. Whatever runs between two steps runs alone, so a run depends on nothing but its seed.
 */
export class VirtualWorld {
  readonly dice: Dice;
  nowMs = 1_000_000;
  readonly #turns: Turn[] = [];
  #order = 0;

  constructor(seed: number) {
    this.dice = new Dice(seed);
  }

  /** Resolves after `ms` of virtual time. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.push({ atMs: this.nowMs + ms, order: this.#order++, go: resolve });
    });
  }

  /** Lets everybody act until that much virtual time has passed. */
  async run(forMs: number): Promise<void> {
    const endMs = this.nowMs + forMs;
    for (let turn = this.#earliest(endMs); turn !== undefined; turn = this.#earliest(endMs)) {
      this.nowMs = Math.max(this.nowMs, turn.atMs);
      turn.go();
      await breathe();
    }
    this.nowMs = endMs;
  }

  #earliest(endMs: number): Turn | undefined {
    let best = -1;
    for (const [index, { atMs, order }] of this.#turns.entries()) {
      const other = this.#turns[best];
      if (other === undefined || atMs < other.atMs || (atMs === other.atMs && order < other.order))
        best = index;
    }
    const turn = this.#turns[best];
    if (turn === undefined || turn.atMs > endMs) return undefined;
    this.#turns.splice(best, 1);
    return turn;
  }
}
