import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { claimPlace, positionKey } from '../../domain/assignment.ts';
import { memberKey, parseMember, transition } from '../../domain/member-record.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { remove } from '../../domain/table-writes.ts';
import { timing } from '../../domain/timing.ts';
import { dynamodbItemStore } from '../../functions/adapters/dynamodb-item-store.ts';
import type { ChunkReads } from '../../node/files/chunk-reader.ts';
import type { Tuning } from '../../node/member-life.ts';
import type { MovementProgress } from '../../node/movement/progress.ts';
import { startTable, type TestTable } from '../../tests/control-plane/member-table.ts';
import { FleetProcess } from './fleet-process.ts';
import { NodeHttp } from './node-http.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const TIME_SCALE = 20;
const FIRST_HOST = 10;
const POLL_MS = 100;

export interface FleetOptions {
  /** First three octets of the nodes' addresses, within 127.0.0.0/8. */
  readonly network: string;
  readonly tuning?: Tuning;
  readonly capacityBytes?: number;
  /** Told of the empty data folder of the n-th node before it starts: the place to mount something on it. */
  readonly prepareDisk?: (directory: string, n: number) => void;
}

/** What a node says of itself; the part that campaigns look at. */
export interface NodeStatus {
  readonly isReady: boolean;
  readonly phase?: string;
  readonly members?: readonly (Omit<RingMember, 'id'> & { readonly id: string })[];
  readonly movement?: MovementProgress;
  readonly chunkReads?: ChunkReads;
  readonly store: { readonly usedBytes: number; readonly capacityBytes: number; readonly fileCount: number };
}

/**
 * Nodes as processes of their own over one member table, with a place given to each as `on-launch` gives it. What the
 * cloud does on its own account (replacing instances, deciding to scale) is left to the campaign.
 */
export class Fleet {
  readonly http = new NodeHttp();
  readonly folder: string;
  readonly nodes = new Map<string, FleetProcess>();
  readonly #table: TestTable;
  readonly #program: string;
  readonly #options: FleetOptions;
  readonly #stage = `fleet-${process.pid}`;
  #count = 0;

  private constructor(folder: string, table: TestTable, program: string, options: FleetOptions) {
    this.folder = folder;
    this.#table = table;
    this.#program = program;
    this.#options = options;
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    const folder = mkdtempSync(join(tmpdir(), 'chordfs-fleet-'));
    return new Fleet(folder, await startTable(), await bundle(), options);
  }

  /** Gives a new instance a place and starts its node. Does not wait for it. */
  async launch(): Promise<FleetProcess> {
    const n = this.#count++;
    const instanceId = `i-${String(n).padStart(4, '0')}`;
    const node = new FleetProcess(
      {
        instanceId,
        address: `${this.#options.network}.${FIRST_HOST + n}`,
        availabilityZone: `zone-${n % 3}`,
        directory: join(this.folder, instanceId),
        capacityBytes: this.#options.capacityBytes,
        tableEndpoint: await this.#tableEndpoint(),
        tableName: this.#table.tableName,
        stage: this.#stage,
        timeScale: TIME_SCALE,
        tuning: this.#options.tuning ?? {},
      },
      { program: this.#program, logPath: join(this.folder, `${instanceId}.log`) },
    );
    mkdirSync(node.spec.directory, { recursive: true });
    this.#options.prepareDisk?.(node.spec.directory, n);
    await this.#claim(node);
    this.nodes.set(instanceId, node);
    node.start();
    return node;
  }

  /** @throws when the node is not serving within the time. */
  async whenServing(node: FleetProcess, timeoutMs = 240_000): Promise<void> {
    await this.until(`${node.spec.instanceId} serves`, timeoutMs, async () => {
      if (!node.isRunning) throw new Error(`${node.spec.instanceId} ended: see ${node.logPath}`);
      return (await this.status(node).catch(() => undefined))?.isReady === true;
    });
  }

  async grow(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.whenServing(await this.launch());
  }

  status(node: FleetProcess): Promise<NodeStatus> {
    return this.http.json(node.spec.address, '/_chordfs/status', 5_000);
  }

  answering(): FleetProcess[] {
    return [...this.nodes.values()].filter(({ isAnswering }) => isAnswering);
  }

  /** Its disk goes with it. */
  async forget(node: FleetProcess): Promise<void> {
    await this.bury(node);
    rmSync(node.spec.directory, { recursive: true, force: true });
  }

  /** The row is closed as the reconciler closes the row of an instance that is gone. */
  async bury(node: FleetProcess): Promise<void> {
    const { instanceId } = node.spec;
    const store = this.#store();
    const row = parseMember((await store.get(memberKey(this.#stage, instanceId))) ?? {});
    for (const to of ['DEAD', 'FAILED'] as const) {
      await store.write(transition({ stage: this.#stage, instanceId, to, nowMs: Date.now() }));
    }
    if (row?.position !== undefined) {
      await store.write(
        remove(positionKey(this.#stage, row.position), [
          { attribute: 'instanceId', is: '=', value: instanceId },
        ]),
      );
    }
    this.nodes.delete(instanceId);
  }

  /** Waits for a condition. @throws with `what` when it does not hold in time. */
  async until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
      await pause(POLL_MS);
    }
  }

  /** Ends every process of the fleet. The folder with disks and logs stays when `keep` is true. */
  async stop({ keep = false }: { readonly keep?: boolean } = {}): Promise<void> {
    await Promise.all([...this.nodes.values()].map((node) => node.kill()));
    this.http.close();
    await this.#table.stop();
    if (!keep) this.removeFolder();
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #store() {
    return dynamodbItemStore(this.#table.client, this.#table.tableName);
  }

  async #tableEndpoint(): Promise<string> {
    const endpoint = await this.#table.client.config.endpoint?.();
    return `http://${endpoint?.hostname}:${endpoint?.port}`;
  }

  async #claim({ spec }: FleetProcess): Promise<void> {
    const { instanceId, address, availabilityZone } = spec;
    await this.until(`a place for ${instanceId}`, 30_000, async () => {
      const { kind } = await claimPlace({
        ...{ store: this.#store(), stage: this.#stage, timing: timing(TIME_SCALE), now: Date.now },
        instance: { instanceId, privateIp: address, publicIp: address, availabilityZone },
        newRingId: () => `ring-of-${this.#stage}`,
        ...{ source: 'chordfs.control', cause: 'campaign', correlationId: `launch-${instanceId}` },
      });
      return kind === 'assigned';
    });
  }
}

/** One file, so that a node starts as fast as a deployed one. */
async function bundle(): Promise<string> {
  const outfile = join(here, '../../node_modules/.cache/chordfs-fleet/node.mjs');
  await build({
    entryPoints: [join(here, '../fleet-node.ts')],
    outfile,
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'error' },
    // As plugins/node-bundle makes it.
    ...{ minifyWhitespace: true, minifySyntax: true, charset: 'ascii', legalComments: 'none' },
    external: ['lmdb'],
    // Packages in the older module format look for these.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  return outfile;
}
