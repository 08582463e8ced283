/**
 * One member as a process of its own: RPC and ring without files and without AWS. Forked by the benches, which talk
 * to it over IPC: `{id, kind, ...}` in, `{id, ok, value}` out.
 */

import { identifier } from '../domain/identifier.ts';
import type { Member, MemberPhase } from '../domain/member.ts';
import type { ChordConfig } from '../node/chord/config.ts';
import { MemorySettings } from '../node/ring/memory-settings.ts';
import { openRing, type RingNode } from '../node/ring/ring-node.ts';
import type { RingEntry } from '../node/ring/ring-options.ts';
import { cutOffFrom } from './cut.ts';
import { IpcRegistry } from './registry-over-ipc.ts';

export type MemberOrder =
  | {
      readonly kind: 'open';
      readonly self: Member;
      readonly clusterKeyHex: string;
      readonly config: Partial<ChordConfig>;
    }
  | { readonly kind: 'begin'; readonly entry: RingEntry }
  | { readonly kind: 'enter'; readonly phase: MemberPhase }
  | { readonly kind: 'lookups'; readonly keys: readonly number[]; readonly timeoutMs: number }
  | { readonly kind: 'owns'; readonly keys: readonly number[] }
  | { readonly kind: 'state' }
  | { readonly kind: 'cutOff'; readonly from: readonly string[] }
  | { readonly kind: 'usage' };

export interface ProcessUsage extends NodeJS.MemoryUsage {
  readonly cpuMs: number;
}

const registry = new IpcRegistry();
let ring: RingNode | undefined;
let self: Member | undefined;
let incarnation = 0;

async function open(order: Extract<MemberOrder, { kind: 'open' }>): Promise<void> {
  self = order.self;
  incarnation = order.self.incarnation;
  const settings = new MemorySettings();
  ring = await openRing({
    self: order.self,
    ringId: 'bench',
    epoch: 1,
    clusterKey: Buffer.from(order.clusterKeyHex, 'hex'),
    listen: [order.self.privateIp],
    vpcCidr: '127.0.0.0/8',
    registry,
    settings,
    config: order.config,
    onBug: (error, where) => process.stderr.write(`bug in ${where}: ${String(error)}\n`),
    onReplaced: async () => {
      incarnation += 1;
      const members = await registry.liveMembers(AbortSignal.timeout(5_000));
      const next = { ...order.self, incarnation };
      process.send?.({ replaced: next });
      // Nothing to fetch, so the new life is active as soon as it is in the pointers.
      void activateWhenJoining();
      return { self: next, contacts: members.filter(({ instanceId }) => instanceId !== next.instanceId) };
    },
  });
}

async function activateWhenJoining(): Promise<void> {
  const started = ring?.snapshot().version ?? 0;
  await new Promise<void>((resolve) => {
    const stop = ring?.onChange((snapshot) => {
      const own = snapshot.members.find(({ instanceId }) => instanceId === self?.instanceId);
      if (snapshot.version <= started || own?.phase !== 'joining' || own.incarnation < incarnation) return;
      stop?.();
      resolve();
    });
  });
  // Cut off from the member that must give the arc up, it may take as long as the cut.
  for (let isActive = false; !isActive; ) {
    const signal = AbortSignal.timeout(10_000);
    isActive = await (ring?.enter('active', { signal }) ?? Promise.resolve()).then(
      () => true,
      () => false,
    );
  }
  if (self !== undefined) process.send?.({ active: { ...self, incarnation } });
}

async function lookup(node: RingNode, key: number, timeoutMs: number): Promise<string> {
  try {
    const { owner } = await node.lookup(identifier(key), { signal: AbortSignal.timeout(timeoutMs) });
    return owner.instanceId;
  } catch (error) {
    return String(error);
  }
}

async function obey(order: MemberOrder): Promise<unknown> {
  if (order.kind === 'open') return open(order);
  if (order.kind === 'cutOff') return cutOffFrom(order.from);
  if (order.kind === 'usage') {
    globalThis.gc?.();
    const { user, system } = process.cpuUsage();
    return { ...process.memoryUsage(), cpuMs: (user + system) / 1_000 } satisfies ProcessUsage;
  }
  const node = ring;
  if (node === undefined) throw new Error('not open');
  const signal = AbortSignal.timeout(120_000);
  switch (order.kind) {
    case 'begin':
      return node.begin(order.entry, { signal });
    case 'enter':
      return node.enter(order.phase, { signal });
    case 'lookups':
      return Promise.all(order.keys.map((key) => lookup(node, key, order.timeoutMs)));
    case 'owns':
      return order.keys.map((key) => node.owns(identifier(key)));
    case 'state':
      return { counters: node.counters(), members: node.snapshot().members };
  }
}

process.on('message', (message: { id?: number; order?: MemberOrder }) => {
  const { id, order } = message;
  if (id === undefined || order === undefined) return;
  obey(order).then(
    (value) => process.send?.({ id, ok: true, value }),
    (error: unknown) => process.send?.({ id, ok: false, value: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
