import { setTimeout as pause } from 'node:timers/promises';
import { upload } from '../../tests/end-to-end/node-client.ts';
import { contentOf, type SampleFile } from '../../tests/end-to-end/sample-files.ts';
import type { NodeStatus } from '../fleet/fleet.ts';
import type { NodeHttp } from '../fleet/node-http.ts';

const FILE_BYTES = 512 * 1024;
/** Between two looks at the disks, when there is nothing to upload. */
const LOOK_EVERY_MS = 200;

/** What the clients did, and what was wrong with it. */
export interface FillReport {
  readonly files: readonly SampleFile[];
  readonly failures: readonly string[];
}

/**
 * Clients that keep the fullest disk of the ring just above the threshold: whoever relieves it makes room for more
 * uploads, so that the alarm lasts for as long as they go on.
 */
export class Filler {
  readonly files: SampleFile[] = [];
  readonly #failures: string[] = [];
  readonly #http: NodeHttp;
  readonly #addresses: () => Promise<readonly string[]>;
  readonly #targetPercent: number;
  readonly #running: Promise<void>;
  #isOver = false;

  constructor(
    http: NodeHttp,
    options: { readonly addresses: () => Promise<readonly string[]>; readonly targetPercent: number },
  ) {
    this.#http = http;
    this.#addresses = options.addresses;
    this.#targetPercent = options.targetPercent;
    this.#running = this.#run();
  }

  async stop(): Promise<FillReport> {
    this.#isOver = true;
    await this.#running;
    return { files: this.files, failures: this.#failures };
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const addresses = await this.#addresses();
      if ((await this.#fullestPercent(addresses)) < this.#targetPercent) await this.#upload(addresses);
      else await pause(LOOK_EVERY_MS);
    }
  }

  async #upload(addresses: readonly string[]): Promise<void> {
    const number = this.files.length + this.#failures.length;
    const address = addresses[number % addresses.length];
    if (address === undefined) return;
    const file = { name: `fill ${number}`, sizeBytes: FILE_BYTES, seed: number };
    try {
      const status = await upload(address, file.name, contentOf(file));
      if (status === 204) this.files.push(file);
      else this.#failures.push(`upload of ${file.name} through ${address}: ${status}`);
    } catch (error) {
      this.#failures.push(`upload of ${file.name} through ${address}: ${String(error)}`);
    }
  }

  async #fullestPercent(addresses: readonly string[]): Promise<number> {
    const percents = await Promise.all(
      addresses.map(async (address) => {
        // Who does not answer just now, on a connection that was about to be closed, is looked at again next time.
        const status = await this.#http.json<NodeStatus>(address, '/_chordfs/status').catch(() => undefined);
        return status === undefined ? 0 : (100 * status.store.usedBytes) / status.store.capacityBytes;
      }),
    );
    return Math.max(0, ...percents);
  }
}
