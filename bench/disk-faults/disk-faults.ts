import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from '../fleet/fleet.ts';
import type { FleetProcess } from '../fleet/fleet-process.ts';
import { whenHealthy } from '../kills/health.ts';
import { chunkFileOf, flipByte, flipByteOfRecord, hasGoodChunk, sha256Of } from './damage.ts';
import { shutDown } from './volumes.ts';

export interface DiskFaultsOptions {
  readonly fleet: Fleet;
  readonly say: (line: string) => void;
  readonly check: (what: string, holds: boolean) => void;
}

interface Receipt {
  readonly record: { readonly uploadId: string; readonly chunks: readonly { readonly sha256: string }[] };
  readonly copies: readonly { readonly instanceId: string; readonly part: 'record' | number }[];
}

/** Larger than what a node keeps in memory, so that every read looks at the disk. */
const FILE_BYTES = 1_000_000;
const REPAIR_LIMIT_MS = 10_000;
const ASK_TIMEOUT_MS = 40_000;
const UPLOADS_WHILE_FULL = 220;
const ENOUGH_REFUSALS = 10;

/** One method for each thing that a disk does; each leaves a healthy ring behind, but for the last. */
export class DiskFaults {
  readonly #options: DiskFaultsOptions;
  /** What was acknowledged, by name. */
  readonly #acknowledged = new Map<string, Buffer>();

  constructor(options: DiskFaultsOptions) {
    this.#options = options;
  }

  async rotInChunks(): Promise<void> {
    const { fleet, check } = this.#options;
    const name = 'rot in a chunk.bin';
    await this.#put(name);
    const { record } = await this.#receipt(name);
    const sha256 = record.chunks[0]?.sha256 ?? '';
    const holders = fleet.answering().filter((node) => chunkFileOf(node, record.uploadId, 0) !== undefined);
    const repairedMs: number[] = [];
    let wrongCount = 0;
    for (const [i, holder] of holders.entries()) {
      flipByte(chunkFileOf(holder, record.uploadId, 0) ?? '', 1 + i * 400_000);
      const startedMs = performance.now();
      wrongCount += await this.#wrongReads(name);
      await this.#until('the chunk is good again', async () =>
        fleet
          .answering()
          .every((node) => !holders.includes(node) || hasGoodChunk(node, record.uploadId, 0, sha256)),
      );
      repairedMs.push(performance.now() - startedMs);
    }
    const inTurn = `${holders.length} copies of a chunk, a byte flipped in each in turn`;
    check(`${inTurn}: ${wrongCount} wrong or failed reads`, wrongCount === 0 && holders.length === 3);
    check(
      `mended ${listOf(repairedMs)} ms after it was read (at most ${REPAIR_LIMIT_MS})`,
      Math.max(...repairedMs) <= REPAIR_LIMIT_MS,
    );
  }

  async rotInRecords(): Promise<void> {
    const { fleet, check } = this.#options;
    const name = 'rot in a record.bin';
    await this.#put(name);
    const holders = new Set((await this.#receipt(name)).copies.map(({ instanceId }) => instanceId));
    const repairedMs: number[] = [];
    let wrongCount = 0;
    let placeCount = 0;
    for (const instanceId of holders) {
      const holder = fleet.nodes.get(instanceId);
      if (holder === undefined) throw new Error(`no node ${instanceId}`);
      placeCount += Math.min(1, flipByteOfRecord(holder, name));
      const startedMs = performance.now();
      wrongCount += await this.#wrongReads(name);
      await this.#until('the record is whole again', async () => {
        const { copies } = await this.#receipt(name);
        return new Set(copies.filter(({ part }) => part === 'record').map((c) => c.instanceId)).size === 3;
      });
      repairedMs.push(performance.now() - startedMs);
    }
    const inTurn = `${placeCount} copies of a record, a byte flipped in each in turn`;
    check(`${inTurn}: ${wrongCount} wrong or failed reads`, wrongCount === 0 && placeCount === 3);
    check(
      `mended ${listOf(repairedMs)} ms after it was read (at most ${REPAIR_LIMIT_MS})`,
      Math.max(...repairedMs) <= REPAIR_LIMIT_MS,
    );
  }

  /** A newcomer pulls from members that hold damage nobody has found yet. Resolves to it. */
  async rotIsNotCopiedOn(): Promise<FleetProcess> {
    const { fleet, check } = this.#options;
    const uploads: { readonly name: string; readonly uploadId: string; readonly sha256: string }[] = [];
    for (let i = 0; i < 24; i++) {
      const name = `not copied on ${i}.bin`;
      await this.#put(name);
      const { record } = await this.#receipt(name);
      uploads.push({ name, uploadId: record.uploadId, sha256: record.chunks[0]?.sha256 ?? '' });
    }
    const members = fleet.answering();
    for (const [i, { uploadId }] of uploads.entries()) {
      const holders = members.filter((node) => chunkFileOf(node, uploadId, 0) !== undefined);
      const holder = holders[i % holders.length];
      if (holder !== undefined) flipByte(chunkFileOf(holder, uploadId, 0) ?? '', 1_000 + i);
    }
    const newcomer = await fleet.launch();
    await fleet.whenServing(newcomer);
    const held = uploads.filter(({ uploadId }) => chunkFileOf(newcomer, uploadId, 0) !== undefined);
    const bad = held.filter(({ uploadId, sha256 }) => !hasGoodChunk(newcomer, uploadId, 0, sha256));
    check(
      `a newcomer took ${held.length} of 24 files with one rotten copy each: ${bad.length} of them rotten`,
      bad.length === 0 && held.length > 0,
    );
    let wrongCount = 0;
    for (const { name } of uploads) wrongCount += await this.#wrongReads(name);
    check(`${wrongCount} of their reads through every node wrong or failed`, wrongCount === 0);
    return newcomer;
  }

  async diskFails(victim: FleetProcess): Promise<void> {
    const { fleet, check, say } = this.#options;
    const others = fleet.answering().filter((node) => node !== victim);
    const stop = new AbortController();
    const outcomes: Record<string, number> = {};
    const clients = Promise.all(
      [0, 1, 2].map(async (client) => {
        for (let i = 0; !stop.signal.aborted; i++) {
          const node = others[(client + i) % others.length];
          if (node === undefined) return;
          const outcome = await this.#put(`disk fails ${client}-${i}.bin`, node, 300_000).catch(String);
          outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
          if ((await this.#wrongReads('rot in a chunk.bin', [node])) > 0)
            outcomes['wrong read'] = (outcomes['wrong read'] ?? 0) + 1;
        }
      }),
    );
    await pause(2_000);
    shutDown(victim.spec.directory);
    const startedMs = performance.now();
    await this.#until('the node gives its disk up', async () => !victim.isRunning, 60_000);
    say(
      `the node ended by itself ${(performance.now() - startedMs).toFixed(0)} ms after its disk had failed`,
    );
    await pause(5_000);
    stop.abort();
    await clients;
    const bad = Object.entries(outcomes).filter(([outcome]) => outcome !== '201' && outcome !== '204');
    check(
      `a disk fails under one of ${others.length + 1}: ${JSON.stringify(outcomes)} through the others`,
      bad.length === 0,
    );
    await fleet.bury(victim);
    await whenHealthy(fleet, {
      nodes: fleet.answering(),
      names: [...this.#acknowledged.keys()],
      timeoutMs: 120_000,
    });
    const lostCount = await this.#lostFiles();
    check(`${lostCount} of ${this.#acknowledged.size} acknowledged files lost`, lostCount === 0);
  }

  async disksAreFull(): Promise<void> {
    const { fleet, check } = this.#options;
    const small = [await fleet.launch(), await fleet.launch()];
    for (const node of small) await fleet.whenServing(node);
    const nodes = fleet.answering();
    const outcomes: Record<string, number> = {};
    const refused: string[] = [];
    for (let i = 0; i < UPLOADS_WHILE_FULL && refused.length < ENOUGH_REFUSALS; i++) {
      const name = `while full ${i}.bin`;
      const node = nodes[i % nodes.length];
      const outcome = await this.#put(name, node, 2_000_000).catch(String);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (!this.#acknowledged.has(name)) refused.push(name);
    }
    const full = await Promise.all(small.map(async (node) => (await fleet.status(node)).store));
    const shares = full.map(
      ({ usedBytes, capacityBytes }) => `${((100 * usedBytes) / capacityBytes).toFixed(0)} %`,
    );
    const isClear = Object.keys(outcomes).every((outcome) => ['201', '204', '507'].includes(outcome));
    check(`two small disks, ${shares.join(' and ')} full: answers ${JSON.stringify(outcomes)}`, isClear);
    check(
      'both nodes with a full disk are well',
      small.every(({ isAnswering }) => isAnswering),
    );
    const lostCount = await this.#lostFiles();
    check(`${lostCount} of ${this.#acknowledged.size} acknowledged files lost`, lostCount === 0);
    let shownCount = 0;
    for (const name of refused) {
      for (const node of nodes) if ((await this.#get(name, node)).status !== 404) shownCount++;
    }
    check(`${shownCount} of ${refused.length} refused uploads show anywhere`, shownCount === 0);
  }

  /** @returns the status, as text. */
  async #put(name: string, node = this.#any(), sizeBytes = FILE_BYTES): Promise<string> {
    const body = Buffer.alloc(sizeBytes, createHash('sha256').update(name).digest());
    const path = `/${encodeURIComponent(name)}`;
    const ask = { method: 'PUT' as const, path, body, timeoutMs: ASK_TIMEOUT_MS };
    const { status } = await this.#options.fleet.http.ask(node.spec.address, ask);
    if (status < 300) this.#acknowledged.set(name, body);
    return String(status);
  }

  #get(name: string, node: FleetProcess) {
    const path = `/${encodeURIComponent(name)}`;
    return this.#options.fleet.http.ask(node.spec.address, {
      method: 'GET',
      path,
      timeoutMs: ASK_TIMEOUT_MS,
    });
  }

  /** Of two reads through each node, those that were refused or brought other bytes. */
  async #wrongReads(name: string, nodes = this.#options.fleet.answering()): Promise<number> {
    const expected = sha256Of(this.#acknowledged.get(name) ?? Buffer.alloc(0));
    let wrongCount = 0;
    for (const node of [...nodes, ...nodes]) {
      const isRight = await this.#get(name, node).then(
        ({ status, body }) => status === 200 && sha256Of(body) === expected,
        () => false,
      );
      if (!isRight) wrongCount++;
    }
    return wrongCount;
  }

  async #lostFiles(): Promise<number> {
    let lostCount = 0;
    for (const [i, name] of [...this.#acknowledged.keys()].entries()) {
      const nodes = this.#options.fleet.answering();
      const node = nodes[i % nodes.length];
      if (node !== undefined && (await this.#wrongReads(name, [node])) > 0) lostCount++;
    }
    return lostCount;
  }

  async #receipt(name: string): Promise<Receipt> {
    const path = `/_chordfs/receipt/${encodeURIComponent(name)}`;
    return await this.#options.fleet.http.json<Receipt>(this.#any().spec.address, path, ASK_TIMEOUT_MS);
  }

  #any(): FleetProcess {
    const [node] = this.#options.fleet.answering();
    if (node === undefined) throw new Error('nobody is up');
    return node;
  }

  async #until(what: string, holds: () => Promise<boolean>, timeoutMs = 3 * REPAIR_LIMIT_MS): Promise<void> {
    await this.#options.fleet.until(what, timeoutMs, holds);
  }
}

function listOf(ms: readonly number[]): string {
  return ms.map((each) => each.toFixed(0)).join(', ');
}
