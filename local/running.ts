/** What is running so far, so that a start that fails half-way can be taken back. */
export class Running {
  readonly #steps: (() => Promise<void> | void)[] = [];
  #stopped: Promise<void> | undefined;

  onStop(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Every step, last one first; one that fails does not keep the others from running. */
  stop(): Promise<void> {
    this.#stopped ??= this.#run();
    return this.#stopped;
  }

  async #run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'the local cloud did not stop cleanly');
  }
}
