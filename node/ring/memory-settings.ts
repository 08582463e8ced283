import type { Settings } from './ring-state-store.ts';

/** Settings that last as long as the process: for tests, benches and nodes without a disk. */
export class MemorySettings implements Settings {
  readonly #values = new Map<string, string>();

  getSetting(key: string): string | undefined {
    return this.#values.get(key);
  }

  async putSetting(key: string, value: string): Promise<void> {
    this.#values.set(key, value);
  }
}
