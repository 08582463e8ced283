import { faultOf, upload } from '../end-to-end/node-client.ts';
import { contentOf, numbersFrom, type SampleFile } from '../end-to-end/sample-files.ts';

export interface LoadReport {
  readonly uploads: number;
  readonly downloads: number;
  /** What was wrong, one line a request. */
  readonly failures: readonly string[];
}

/** Keeps a client busy between two requests for this long, so that the load is steady and not a test of the machine. */
const PAUSE_MS = 20;
const LARGEST_BYTES = 300_000;

/**
 * Uploads and downloads through all nodes until it is stopped: new files, replacements of them, and reads of what was
 * acknowledged, each checked byte by byte.
 */
export class SteadyLoad {
  readonly #addresses: () => Promise<readonly string[]>;
  readonly #next: () => number;
  readonly #name: string;
  readonly #acknowledged: SampleFile[] = [];
  readonly #failures: string[] = [];
  /** The node that the request under way was sent to, and whether that node is being killed. */
  #underWay: { readonly address: string; isCutOff: boolean } | undefined;
  readonly #running: Promise<void>;
  readonly #startedMs = performance.now();
  #uploads = 0;
  #downloads = 0;
  #isOver = false;

  /** @param addresses The nodes to use now: a client does not ask one that it knows to be gone. */
  constructor(addresses: () => Promise<readonly string[]>, seed = 1) {
    this.#addresses = addresses;
    this.#next = numbersFrom(seed);
    this.#name = `load ${seed}`;
    this.#running = this.#run();
  }

  /** Every file that was acknowledged. */
  get files(): readonly SampleFile[] {
    return this.#acknowledged;
  }

  get requests(): number {
    return this.#uploads + this.#downloads;
  }

  /** To be called before a node is killed: a request that is under way to it may fail with it. */
  expectDeathOf(address: string): void {
    if (this.#underWay?.address === address) this.#underWay.isCutOff = true;
  }

  async stop(): Promise<LoadReport> {
    this.#isOver = true;
    await this.#running;
    return { uploads: this.#uploads, downloads: this.#downloads, failures: this.#failures };
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const addresses = await this.#addresses();
      const address = addresses[Math.floor(this.#next() * addresses.length)];
      if (address !== undefined) {
        this.#underWay = { address, isCutOff: false };
        if (this.#acknowledged.length === 0 || this.#next() < 0.3) await this.#upload(address);
        else await this.#download(address);
        this.#underWay = undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  async #upload(address: string): Promise<void> {
    const number = this.#uploads;
    const file = {
      name: `${this.#name}, file ${number}`,
      sizeBytes: 1 + Math.floor(this.#next() * LARGEST_BYTES),
      seed: number,
    };
    this.#uploads += 1;
    try {
      const status = await upload(address, file.name, contentOf(file));
      if (status === 204) this.#acknowledged.push(file);
      else this.#fail(`upload of ${file.name} through ${address}: ${status}`);
    } catch (error) {
      this.#fail(`upload of ${file.name} through ${address}: ${String((error as Error).cause ?? error)}`);
    }
  }

  async #download(address: string): Promise<void> {
    this.#downloads += 1;
    const file = this.#acknowledged[Math.floor(this.#next() * this.#acknowledged.length)];
    const fault = file === undefined ? undefined : await faultOf(address, file);
    if (fault !== undefined) this.#fail(`download: ${fault}`);
  }

  #fail(failure: string): void {
    if (this.#underWay?.isCutOff !== true)
      this.#failures.push(`${Math.round(performance.now() - this.#startedMs)} ms: ${failure}`);
  }
}
