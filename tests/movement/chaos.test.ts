import { test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { contentOf, download, never, sha256, upload } from '../files/content.ts';
import { History } from '../files/history.ts';
import { eventually, MovingCluster, TIMINGS } from './moving-cluster.ts';

/** Any 32-bit seed replays the same decisions; the interleaving of the nodes is the event loop's. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const SEEDS = (process.env['CHAOS_SEEDS'] ?? '1,2').split(',').map(Number);
const STEPS = Number(process.env['CHAOS_STEPS'] ?? '8');
const NAMES = Array.from({ length: 24 }, (_, i) => `file ${i}`);
/** Short, so that collection runs into every move; longer than any read of the small files takes. */
const OPTIONS = {
  garbageLimits: { chunkGraceMs: 2_500, tombstoneMinAgeMs: 1_000 },
  timings: { ...TIMINGS, garbageIntervalMs: 250 },
};

class Chaos {
  readonly random: () => number;
  readonly cluster = new MovingCluster(OPTIONS);
  readonly history = new History();
  readonly #stop = new AbortController();
  doing = '';
  readonly failedReads: unknown[] = [];
  #nodeCount = 5;
  #writeCount = 0;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.random() * items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  async client(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const name = this.pick(NAMES);
      const files = this.cluster.files(Math.floor(this.random() * 1_000));
      const what = this.random();
      if (what < 0.45) await this.#read(name);
      else if (what < 0.9) {
        const bytes = contentOf(this.random() < 0.15 ? 400_000 : 300, ++this.#writeCount);
        const signal = AbortSignal.timeout(8_000);
        await this.history.note({ name, kind: 'write', value: sha256(bytes) }, () =>
          upload(files, name, bytes, { signal }),
        );
      } else {
        await this.history.note({ name, kind: 'delete' }, () =>
          files.delete(name, { signal: AbortSignal.timeout(8_000) }),
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #read(name: string): Promise<void> {
    const [id, node] = this.pick([...this.cluster.nodes.entries()]);
    const seenIn = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : sha256(bytes));
    const request = () =>
      download(node.files, name).catch((error: unknown) => {
        // A client of a node that dies has to ask another one; every other failure is the ring's.
        if (this.cluster.nodes.has(id)) this.failedReads.push(error);
        throw error;
      });
    await this.history.note({ name, kind: 'read' }, request, { seenIn });
  }

  async nemesis(): Promise<void> {
    const names = () =>
      [...this.cluster.nodes.keys()].filter((name) => this.cluster.control.phaseOf(name) === 'active');
    const action = this.random();
    this.doing = action.toFixed(2);
    if (action < 0.3 && names().length >= 4) await this.#kill(this.pick(names()));
    else if (action < 0.55) await this.#join({ dies: false });
    else if (action < 0.7) await this.#join({ dies: true });
    else if (action < 0.85 && names().length >= 4) await this.cluster.drain(this.pick(names()));
    else if (names().length >= 4) {
      const victim = this.pick(names());
      const draining = this.cluster.drain(victim).catch(() => undefined);
      await this.#sleep(60);
      if (this.cluster.nodes.has(victim)) await this.#kill(victim);
      await draining;
    }
  }

  async #kill(name: string): Promise<void> {
    this.doing += ` kill ${name}`;
    await this.cluster.kill(name);
    await this.#sleep(150);
    await this.cluster.bury(name);
  }

  async #join({ dies }: { dies: boolean }): Promise<void> {
    const name = `n${this.#nodeCount++}`;
    const joining = this.cluster.join(name, Math.floor(this.random() * 2 ** 32));
    if (dies) {
      joining.catch(() => undefined);
      await this.#sleep(60);
      await this.#kill(name);
    } else await joining;
  }

  async #sleep(atMostMs: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, this.random() * atMostMs));
  }

  end(): void {
    this.#stop.abort();
  }

  /** The promise is for one loss at a time while copies are being made again. */
  async healthy(): Promise<void> {
    await eventually(
      () =>
        NAMES.every(
          (name) =>
            this.cluster.copiesOf(name) === 0 ||
            this.cluster.copiesOf(name) >= Math.min(3, this.cluster.nodes.size),
        ),
      'all copies again',
    );
  }
}

for (const seed of SEEDS) {
  test.concurrent(`no acknowledged file is lost and no read goes back in time, seed ${seed}`, {
    timeout: 180_000,
  }, async ({ expect, onTestFinished }) => {
    const chaos = new Chaos(seed);
    const { cluster } = chaos;
    onTestFinished(() => cluster.stop());
    cluster.control.viewDelayMs = () => chaos.random() * 40;
    await cluster.form(['n0', 'n1', 'n2', 'n3', 'n4'], () => Math.floor(chaos.random() * 2 ** 32));
    cluster.network.onCall = async () => {
      if (chaos.random() < 0.01) throw new ChordfsError('PEER_UNREACHABLE');
      if (chaos.random() < 0.1) await new Promise((resolve) => setTimeout(resolve, chaos.random() * 20));
    };

    const clients = Array.from({ length: 6 }, () => chaos.client());
    for (let step = 0; step < STEPS; step++) {
      await chaos.nemesis().catch((error: unknown) => {
        throw new Error(`step ${step}: ${chaos.doing}; ${cluster.describe()}`, { cause: error });
      });
      await chaos.healthy();
    }
    chaos.end();
    await Promise.all(clients);
    cluster.network.onCall = () => undefined;
    await chaos.healthy();
    for (const name of NAMES) {
      const seenIn = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : sha256(bytes));
      await chaos.history.note({ name, kind: 'read' }, () => download(cluster.files(), name), { seenIn });
      expect(
        await cluster
          .files()
          .receipt(name, { signal: never() })
          .then(() => true),
      ).toBe(true);
    }

    expect(chaos.history.violations()).toEqual([]);
    expect(cluster.bugs).toEqual([]);
    expect(chaos.failedReads).toEqual([]);
  });
}
