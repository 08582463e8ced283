/**
 * How long to wait for an answer: the retransmission timer of TCP (Jacobson 1988), as Bamboo uses it for DHT
 * neighbours. A fixed timeout is either too slow to notice a frozen neighbour or too quick for a loaded one.
 */

/** Before the first measurement, and the ceiling: the paper's 500 ms. */
const MAX_TIMEOUT_MS = 500;
/** Below this a garbage collection looks like a death. */
const MIN_TIMEOUT_MS = 50;
const SMOOTHING = 1 / 8;
const VARIANCE_SMOOTHING = 1 / 4;

export class RttEstimate {
  #smoothedMs: number | undefined;
  #varianceMs = 0;

  get timeoutMs(): number {
    if (this.#smoothedMs === undefined) return MAX_TIMEOUT_MS;
    const estimate = this.#smoothedMs + 4 * this.#varianceMs;
    return Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, estimate));
  }

  measured(rttMs: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = rttMs;
      this.#varianceMs = rttMs / 2;
      return;
    }
    this.#varianceMs += VARIANCE_SMOOTHING * (Math.abs(this.#smoothedMs - rttMs) - this.#varianceMs);
    this.#smoothedMs += SMOOTHING * (rttMs - this.#smoothedMs);
  }

  /** Karn: a timeout says nothing about the true time, but the next attempt must be more patient. */
  timedOut(): void {
    if (this.#smoothedMs === undefined) return;
    this.#varianceMs = Math.max(this.#varianceMs * 2, this.timeoutMs / 4);
  }
}
