import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FileServerOptions } from '../../node/http/file-server.ts';
import type { TlsOptions } from '../../node/http/tls-options.ts';
import { DiskStore } from '../../node/store/disk-store.ts';
import { httpCluster } from '../files/http-cluster.ts';
import { exchange, type FormPart, form, formHead, type RawResponse } from '../http/raw-http.ts';

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
const STARTS_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** One of the two servers that are compared: Python's uploadserver, or a node with its data on a real disk. */
export interface Subject {
  readonly host: string;
  readonly port: number;
  /** Lines of its log so far. */
  log(): readonly string[];
  /** What lies in the folder that it serves, or in that of files under way. */
  leftovers(): readonly string[];
  close(): Promise<void>;
}

export async function startUploadserver(options: readonly string[] = []): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), 'uploadserver-'));
  const host = '127.23.0.20';
  const port = await freePort(host);
  const parameters = ['-u', '-m', 'uploadserver', String(port), '--bind', host, '-d', folder, ...options];
  const child = spawn(PYTHON, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => text.push(String(piece)));
  const close = async () => {
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + STARTS_WITHIN_MS;
  while (!(await accepts(host, port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await close();
      throw new Error(`uploadserver did not start: ${text.join('')}`);
    }
    await pause(LOOK_EVERY_MS);
  }
  return { host, port, log: () => text.join('').split('\n'), leftovers: () => readdirSync(folder), close };
}

/** A ring of one node, as a process would run it. */
export async function startOurs(
  options: Partial<FileServerOptions> = {},
  tls?: TlsOptions | undefined,
): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'chordfs-beside-'));
  const lines: string[] = [];
  const cluster = await httpCluster(1, {
    options: { log: (line) => lines.push(line), ...options },
    tlsOf: () => tls,
    storeOf: () => DiskStore.open({ directory }),
  });
  const [node] = cluster.nodes;
  if (node === undefined) throw new Error('no node');
  return {
    host: node.address,
    port: node.port,
    log: () => lines,
    leftovers: () => readdirSync(join(directory, 'tmp')),
    close: async () => {
      await cluster.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
}

/** Theirs does not say which port it was given, so it has to be told one. */
function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => resolve(socket.destroy() !== undefined));
    socket.once('error', () => resolve(false));
  });
}

/** Sends a request as it is written here; undefined when the server hangs up without a word. */
export async function ask(
  subject: Subject,
  line: string,
  { headers = {}, body }: { headers?: Readonly<Record<string, string>>; body?: Uint8Array } = {},
): Promise<RawResponse | undefined> {
  const all = { ...headers, ...(body === undefined ? {} : { 'Content-Length': String(body.byteLength) }) };
  const text = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${text.join('')}\r\n`;
  const sent = exchange(subject, body === undefined ? [head] : [head, body], { method: line.split(' ')[0] });
  // A connection that is reset is a way to hang up as well.
  return await sent.catch(() => undefined);
}

export async function upload(
  subject: Subject,
  parts: readonly FormPart[],
  headers: Readonly<Record<string, string>> = {},
): Promise<RawResponse | undefined> {
  const body = form(parts);
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return await exchange(subject, [formHead('/upload', body.byteLength, more.join('')), body]).catch(
    () => undefined,
  );
}
