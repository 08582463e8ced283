import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { History } from '../../tests/files/history.ts';
import type { FleetProcess } from '../fleet/fleet-process.ts';
import { type Answer, ConnectionEnded, type NodeHttp, sayingOf } from '../fleet/node-http.ts';
import type { SeededRandom } from './seeded-random.ts';

/** `share`: of all writes, those of at most this size. */
type Sizes = readonly { readonly sizeBytes: number; readonly share: number }[];

export interface ClientLoadOptions {
  readonly http: NodeHttp;
  readonly history: History;
  readonly random: SeededRandom;
  readonly names: readonly string[];
  /** Nodes that a client may ask now. */
  readonly serving: () => readonly FleetProcess[];
  readonly clientCount: number;
  readonly sizes: Sizes;
  /** Between two requests of one client. */
  readonly thinkMs: number;
}

/** Bytes of a file and how often such a file is written: mostly small, a few of several chunks. */
export const MIXED_SIZES = [
  { sizeBytes: 3_000, share: 0.62 },
  { sizeBytes: 150_000, share: 0.9 },
  { sizeBytes: 900_000, share: 0.98 },
  { sizeBytes: 9_000_000, share: 1 },
] as const satisfies Sizes;
/** Longer than the node's own deadline for a request, so that it is the node that gives up. */
const TIMEOUT_MS = 40_000;
const READ_SHARE = 0.5;
const WRITE_SHARE = 0.9;

export interface LoadReport {
  readonly reads: number;
  readonly writes: number;
  readonly deletes: number;
  /** Asked again elsewhere, because the node asked was killed or frozen meanwhile, or had left. */
  readonly asked_again: number;
  readonly write_failures: Readonly<Record<string, number>>;
  readonly readMs: readonly number[];
  readonly writeMs: readonly number[];
}

/** Uploads, replaces, deletes and downloads through random nodes, each noted in the history. */
export class ClientLoad {
  /** Reads refused or cut off by a node that was well all the time. */
  readonly failedReads: string[] = [];
  readonly #options: ClientLoadOptions;
  readonly #stop = new AbortController();
  readonly #failures: Record<string, number> = {};
  readonly #readMs: number[] = [];
  readonly #writeMs: number[] = [];
  #clients: Promise<unknown> = Promise.resolve();
  #writes = 0;
  #deletes = 0;
  #askedAgain = 0;
  #value = 0;

  constructor(options: ClientLoadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#clients = Promise.all(Array.from({ length: this.#options.clientCount }, () => this.#client()));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#clients;
  }

  /** One read of a name through one node, noted; for the last look at everything. */
  async readThrough(node: FleetProcess, name: string): Promise<void> {
    await this.#note(name, () => this.#get(node, name));
  }

  report(): LoadReport {
    return {
      reads: this.#readMs.length,
      writes: this.#writes,
      deletes: this.#deletes,
      asked_again: this.#askedAgain,
      write_failures: this.#failures,
      readMs: this.#readMs,
      writeMs: this.#writeMs,
    };
  }

  async #client(): Promise<void> {
    const { random, names, thinkMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      const name = random.pick(names);
      const what = random.next();
      if (what < READ_SHARE) await this.#note(name, () => this.#read(name));
      else if (what < WRITE_SHARE) await this.#write(name);
      else await this.#delete(name);
      await pause(thinkMs);
    }
  }

  async #note(name: string, request: () => Promise<Answer>): Promise<void> {
    const seenIn = ({ status, body }: Answer) => (status === 404 ? undefined : markOf(body));
    await this.#options.history.note({ name, kind: 'read' }, request, { seenIn });
  }

  async #read(name: string): Promise<Answer> {
    for (;;) {
      const node = this.#options.random.pick(this.#options.serving());
      const { disruptions } = node;
      try {
        const answer = await this.#get(node, name);
        this.#readMs.push(answer.totalMs);
        return answer;
      } catch (error) {
        if (!(isExcused(node, disruptions) || hasLeft(node, error))) {
          this.failedReads.push(
            `${new Date().toISOString()} ${name} through ${node.spec.instanceId}: ${error}`,
          );
          throw error;
        }
      }
      this.#askedAgain++;
      await pause(this.#options.thinkMs);
    }
  }

  async #get(node: FleetProcess, name: string): Promise<Answer> {
    const answer = await this.#options.http.ask(node.spec.address, {
      method: 'GET',
      path: `/${encodeURIComponent(name)}`,
      timeoutMs: TIMEOUT_MS,
    });
    if (answer.status !== 200 && answer.status !== 404) {
      throw new Error(`${answer.status} after ${Math.round(answer.totalMs)} ms: ${sayingOf(answer.body)}`);
    }
    return answer;
  }

  async #write(name: string): Promise<void> {
    const share = this.#options.random.next();
    const sizeBytes = this.#options.sizes.find((size) => share < size.share)?.sizeBytes ?? 1;
    const body = contentOf(++this.#value, Math.ceil(sizeBytes * (0.5 + this.#options.random.next() / 2)));
    await this.#options.history.note({ name, kind: 'write', value: markOf(body) }, () =>
      this.#change(name, 'PUT', body),
    );
    this.#writes++;
  }

  async #delete(name: string): Promise<void> {
    await this.#options.history.note({ name, kind: 'delete' }, () => this.#change(name, 'DELETE'));
    this.#deletes++;
  }

  /** Tried once: whatever is not acknowledged may still have happened. Only who was not let in asks elsewhere. */
  async #change(name: string, method: 'PUT' | 'DELETE', body?: Uint8Array): Promise<void> {
    const path = `/${encodeURIComponent(name)}`;
    const ask = { method, path, timeoutMs: TIMEOUT_MS, ...(body === undefined ? {} : { body }) };
    for (;;) {
      const node = this.#options.random.pick(this.#options.serving());
      const { disruptions } = node;
      let failure: string;
      try {
        const { status, totalMs, body: said } = await this.#options.http.ask(node.spec.address, ask);
        if (status === 201 || status === 204 || (method === 'DELETE' && status === 404)) {
          this.#writeMs.push(totalMs);
          return;
        }
        failure = `${status} ${sayingOf(said)}`;
      } catch (error) {
        if (hasLeft(node, error)) {
          this.#askedAgain++;
          continue;
        }
        failure = String(error);
      }
      const key = isExcused(node, disruptions) ? 'through a node that was killed or frozen' : failure;
      this.#failures[key] = (this.#failures[key] ?? 0) + 1;
      throw new Error(failure);
    }
  }
}

/** Whether the node stopped answering since: what it said or did not say proves nothing. */
function isExcused(node: FleetProcess, disruptionsBefore: number): boolean {
  return node.disruptions !== disruptionsBefore || !node.isAnswering;
}

/** A node that was told to leave and has left takes no connections any more, and ends those that were idle. */
function hasLeft(node: FleetProcess, error: unknown): boolean {
  const isRefused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
  return node.isLeaving && (isRefused || error instanceof ConnectionEnded);
}

/** Every value is written once in a run, and no two of its blocks are alike. */
function contentOf(value: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes, createHash('sha256').update(String(value)).digest());
  for (let at = 0; at + 4 <= sizeBytes; at += 4_096) bytes.writeUInt32BE(at, at);
  return bytes;
}

function markOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16);
}
