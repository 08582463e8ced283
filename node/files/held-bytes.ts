/** Of small content, over all uploads of a node: what is held until its record is committed. */
export class HeldBytes {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The share of one upload, which holds at most `limitBytes` itself. */
  share(limitBytes: number): HeldShare {
    let ownBytes = 0;
    return {
      tryHold: (sizeBytes) => {
        if (ownBytes + sizeBytes > limitBytes || this.#heldBytes + sizeBytes > this.#limitBytes) return false;
        ownBytes += sizeBytes;
        this.#heldBytes += sizeBytes;
        return true;
      },
      letGo: () => {
        this.#heldBytes -= ownBytes;
        ownBytes = 0;
      },
    };
  }
}

export interface HeldShare {
  /** Whether so many more may be held; if so, they are from now on. */
  tryHold(sizeBytes: number): boolean;
  /** Gives everything back. Safe to repeat. */
  letGo(): void;
}
