import type { Dice } from './random.ts';

/** How bad the weather is. All probabilities per message. */
export interface Weather {
  /** Mean of an exponential delay, one way, added to `baseDelayMs`. */
  readonly meanDelayMs: number;
  readonly baseDelayMs: number;
  readonly loss: number;
  readonly duplication: number;
}

export const FAIR_WEATHER: Weather = { meanDelayMs: 1, baseDelayMs: 0.3, loss: 0, duplication: 0 };

/** Delays, loses, doubles and reorders messages, and cuts links; all by the dice of the run. */
export class VirtualNetwork {
  weather: Weather = FAIR_WEATHER;
  readonly #dice: Dice;
  /** Links cut, one way each: `from>to`. */
  readonly #cuts = new Map<string, number>();

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  delayMs(): number {
    return this.weather.baseDelayMs + this.#dice.exponential(this.weather.meanDelayMs);
  }

  /** Delays of the copies that arrive: none when lost, two when doubled. */
  copies(from: string, to: string): readonly number[] {
    if (this.isCut(from, to) || this.#dice.chance(this.weather.loss)) return [];
    const copies = [this.delayMs()];
    // A doubled message may arrive very late: that is how old messages meet a later world.
    if (this.#dice.chance(this.weather.duplication))
      copies.push(this.delayMs() + this.#dice.exponential(400));
    return copies;
  }

  isCut(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  get isAnyCut(): boolean {
    for (const count of this.#cuts.values()) if (count > 0) return true;
    return false;
  }

  cut(from: string, to: string): void {
    this.#cuts.set(`${from}>${to}`, (this.#cuts.get(`${from}>${to}`) ?? 0) + 1);
  }

  mend(from: string, to: string): void {
    this.#cuts.set(`${from}>${to}`, Math.max(0, (this.#cuts.get(`${from}>${to}`) ?? 0) - 1));
  }

  mendAll(): void {
    this.#cuts.clear();
  }
}
