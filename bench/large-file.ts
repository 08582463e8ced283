/**
 * One large file up and down through one node of a ring of five real node processes, while the memory of every node is
 * watched: where its chunks went, what its bytes were when they came back, and how many chunks a Range read touches.
 *
 * `npm run campaign:large-file -- [--gb 5] [--nodes 5]`
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { CHUNK_SIZE_BYTES, REPLICA_COUNT } from '../domain/file-record.ts';
import { HTTP_PORT } from '../domain/node-environment.ts';
import { Fleet, type NodeStatus } from './fleet/fleet.ts';
import type { FleetProcess } from './fleet/fleet-process.ts';
import { LargeContent } from './large-file/content.ts';
import { memoryOf, resetPeak } from './large-file/memory.ts';

const { values } = parseArgs({
  options: {
    gb: { type: 'string', default: '5' },
    nodes: { type: 'string', default: '5' },
    network: { type: 'string', default: '127.33.0' },
  },
});
const content = new LargeContent(Math.round(Number(values.gb) * 1e9));
/** Of any node, from its start to the end: `design.md`, numbers to reach. */
const MAX_MEMORY_MB = 180;
const RANGES = 40;
const RANGE_BYTES = 1_000;
/** A member that holds less than this part of an equal share is not carrying its part of the file. */
const LEAST_SHARE = 0.4;

const verdicts: { readonly claim: string; readonly holds: boolean }[] = [];
const say = (line: string): void => void process.stdout.write(`${line}\n`);
function judge(claim: string, holds: boolean): void {
  verdicts.push({ claim, holds });
  say(`${holds ? 'ok    ' : 'FAILED'} ${claim}`);
}

async function ask(
  { spec }: FleetProcess,
  options: {
    readonly method: string;
    readonly headers?: Record<string, string | number>;
    readonly hasBody?: boolean;
    readonly path?: string;
  },
): Promise<IncomingMessage> {
  const { method, headers = {}, hasBody = false, path = '/large.bin' } = options;
  const asking = request({
    ...{ host: spec.address, port: HTTP_PORT, path, agent: false, method, headers },
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    asking.once('response', resolve);
    asking.once('error', reject);
  });
  // A server that refuses answers before it has taken everything; what it says is what matters.
  if (hasBody) await Promise.race([pipeline(content.stream(), asking).catch(() => undefined), answered]);
  else asking.end();
  return await answered;
}

const megabytesPerSecond = (bytes: number, startedMs: number) =>
  Math.round(bytes / 1e3 / (performance.now() - startedMs));

async function upload(node: FleetProcess): Promise<void> {
  const startedMs = performance.now();
  const headers = { 'content-length': content.sizeBytes };
  const answer = await ask(node, { method: 'PUT', headers, hasBody: true });
  answer.resume();
  say(`uploaded at ${megabytesPerSecond(content.sizeBytes, startedMs)} MB/s`);
  judge(
    `the upload was acknowledged: ${answer.statusCode} ${answer.statusMessage}`,
    answer.statusCode === 201,
  );
}

async function download(node: FleetProcess): Promise<void> {
  const startedMs = performance.now();
  const answer = await ask(node, { method: 'GET' });
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    hash.update(piece);
    sizeBytes += piece.byteLength;
  }
  say(`downloaded at ${megabytesPerSecond(sizeBytes, startedMs)} MB/s (and hashed by the client)`);
  judge('what came back is what was sent', hash.digest('hex') === content.sha256());
}

/** Chunks that the node has read for clients so far. On a connection of its own: a kept one is too old by now. */
async function chunkReads(node: FleetProcess): Promise<number> {
  const answer = await ask(node, { method: 'GET', path: '/_chordfs/status' });
  const pieces: Buffer[] = [];
  for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece);
  const { chunkReads: reads }: NodeStatus = JSON.parse(Buffer.concat(pieces).toString());
  return (reads?.fromDisk ?? 0) + (reads?.fromPeers ?? 0);
}

async function readRanges(node: FleetProcess): Promise<void> {
  const before = await chunkReads(node);
  let needed = 0;
  let wrongCount = 0;
  for (let i = 0; i < RANGES; i++) {
    // Every other one lies across the end of a chunk.
    const chunk = 1 + Math.floor(((i + 0.5) / RANGES) * (content.sizeBytes / CHUNK_SIZE_BYTES - 2));
    const start = chunk * CHUNK_SIZE_BYTES - (i % 2 === 0 ? RANGE_BYTES / 2 : 0);
    const end = start + RANGE_BYTES;
    needed += 1 + (i % 2 === 0 ? 1 : 0);
    const answer = await ask(node, { method: 'GET', headers: { range: `bytes=${start}-${end - 1}` } });
    const pieces: Buffer[] = [];
    for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece);
    if (answer.statusCode !== 206 || !Buffer.concat(pieces).equals(content.slice(start, end))) wrongCount++;
  }
  const touched = (await chunkReads(node)) - before;
  judge(`${RANGES} Range reads gave the right bytes`, wrongCount === 0);
  judge(
    `they touched ${touched} chunks, the ${needed} that hold those bytes and no other`,
    touched === needed,
  );
}

function chunkCount({ spec }: FleetProcess): number {
  const folder = join(spec.directory, 'chunks');
  return readdirSync(folder).reduce((sum, shard) => sum + readdirSync(join(folder, shard)).length, 0);
}

function judgeSpread(nodes: readonly FleetProcess[]): void {
  const counts = nodes.map(chunkCount);
  const copies = Math.ceil(content.sizeBytes / CHUNK_SIZE_BYTES) * Math.min(REPLICA_COUNT, nodes.length);
  say(`chunks on each node: ${counts.join(', ')}; ${copies} copies in all`);
  judge('every chunk has all its copies', counts.reduce((a, b) => a + b, 0) === copies);
  judge(
    'every member carries its part',
    counts.every((count) => count >= (LEAST_SHARE * copies) / nodes.length),
  );
}

function judgeMemory(nodes: readonly FleetProcess[], what: string): void {
  const peaks = nodes.map(({ pid }) => memoryOf(pid).peakMb);
  judge(
    `no node held more than ${MAX_MEMORY_MB} MB ${what}: ${peaks.join(', ')}`,
    Math.max(...peaks) <= MAX_MEMORY_MB,
  );
  for (const { pid } of nodes) resetPeak(pid);
}

async function main(): Promise<void> {
  const fleet = await Fleet.open({ network: values.network });
  try {
    await fleet.grow(Number(values.nodes));
    const nodes = [...fleet.nodes.values()];
    const [through] = nodes;
    if (through === undefined) throw new Error('no node');
    say(
      `${values.gb} GB through one of ${nodes.length} nodes; idle, they hold ${nodes.map(({ pid }) => memoryOf(pid).nowMb).join(', ')} MB`,
    );
    judgeMemory(nodes, 'while the ring formed');
    await upload(through);
    judgeMemory(nodes, 'during the upload');
    judgeSpread(nodes);
    await download(through);
    judgeMemory(nodes, 'during the download');
    await readRanges(through);
  } finally {
    await fleet.stop();
  }
}

await main();
const failedCount = verdicts.filter(({ holds }) => !holds).length;
say(`${verdicts.length - failedCount} passed, ${failedCount} failed`);
process.exitCode = failedCount === 0 ? 0 : 1;
