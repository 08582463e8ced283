/** The nodes that are attacked: the target is one of a ring of three, so that lookups lead to calls between members. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { courseIdentifier } from '../node/compat/course-identifier.ts';
import { MemoryRegistry } from '../node/ring/memory-registry.ts';
import { RpcConnection } from '../node/rpc/rpc-connection.ts';
import { MemberProcess } from './member-process.ts';
import type { ProcessUsage } from './ring-member.ts';

export interface VictimUsage {
  /** Heap and what hangs on it, after a collection; the whole process where only that can be seen. */
  readonly heldBytes: number;
  readonly rssBytes: number;
}

export interface Victim {
  isRunning(): boolean;
  usage(): Promise<VictimUsage>;
  /** Connections that others than the ring's own members hold open; undefined: cannot be seen. */
  strangers(): Promise<number | undefined>;
  stop(): Promise<void>;
}

const MEMBER_COUNT = 3;

function addresses(first: string): string[] {
  const [, prefix = '', last = '1'] = /^(.*\.)(\d+)$/.exec(first) ?? [];
  return Array.from({ length: MEMBER_COUNT }, (_, i) => `${prefix}${Number(last) + i}`);
}

/** Members of a managed ring, without files and without AWS. */
export async function managedVictim(address: string): Promise<Victim> {
  const registry = new MemoryRegistry();
  const clusterKeyHex = randomBytes(32).toString('hex');
  const members = await Promise.all(
    addresses(address).map((each, i) =>
      MemberProcess.start({ n: i + 1, address: each, registry, clusterKeyHex }),
    ),
  );
  const [target, ...others] = members;
  if (target === undefined) throw new Error('no members');
  registry.put(target.self, 'active');
  await target.order({ kind: 'begin', entry: { role: 'create' } });
  for (const member of others) {
    registry.put(member.self, 'joining');
    await member.order({ kind: 'begin', entry: { role: 'join', contacts: [target.self] } });
    await member.order({ kind: 'enter', phase: 'active' });
    registry.put(member.self, 'active');
  }
  return {
    isRunning: () => members.every(({ isRunning }) => isRunning),
    async usage() {
      const { heapUsed, external, rss } = await target.order<ProcessUsage>({ kind: 'usage' });
      return { heldBytes: heapUsed + external, rssBytes: rss };
    },
    async strangers() {
      const { counters } = await target.state();
      return Math.max(0, counters.server.connectionsOpen - others.length);
    },
    stop: async () => void (await Promise.all(members.map((member) => member.stop()))),
  };
}

const CHORD = fileURLToPath(new URL('../clients/bin/chord.mjs', import.meta.url));
const PORT = 5057;
const CALL_TIMEOUT_MS = 10_000;

/** `chord <ip> <port>` as a user starts it. */
export async function courseVictim(address: string): Promise<Victim> {
  const ips = addresses(address);
  const children = await Promise.all(ips.map(startChord));
  const [contact = address] = ips;
  await callOnce(contact, 'create', []);
  for (const ip of ips.slice(1)) {
    await callOnce(ip, 'join', [[contact, PORT, courseIdentifier(contact, PORT)]]);
  }
  const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;
  return {
    isRunning: () => children.every(isRunning),
    async usage() {
      const status = await readFile(`/proc/${children[0]?.pid}/status`, 'utf8');
      const rssBytes = 1_024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
      return { heldBytes: rssBytes, rssBytes };
    },
    strangers: async () => undefined,
    async stop() {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children.filter(isRunning).map((child) => once(child, 'exit')));
    },
  };
}

async function startChord(ip: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHORD, ip, String(PORT)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function callOnce(host: string, method: string, params: readonly unknown[]): Promise<void> {
  const connection = await RpcConnection.open({ host, port: PORT, connectTimeoutMs: CALL_TIMEOUT_MS });
  await connection.call(method, params, { timeoutMs: CALL_TIMEOUT_MS });
  connection.close();
}
