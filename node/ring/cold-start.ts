import { setTimeout as pause } from 'node:timers/promises';
import type { Member } from '../../domain/member.ts';
import type { PeerPool } from '../rpc/peer-pool.ts';
import { type Codec, listCodec, optionalCodec, recordCodec, wordCodec } from '../rpc/wire-codec.ts';
import { memberCodec } from './message-codec.ts';
import type { Registry } from './registry.ts';

/**
 * When every member restarts at once nobody is left who could say whose arc is whose: each asks the others and hears
 * "not ready" for ever. The member table still lists them. As soon as each member listed has said that it, too, only
 * waits, all take up their places by that list; it is the same list for all of them, so they agree.
 */

export const RESTART_METHOD = 'ring.restart';

/**
 * `newcomer`: not in the ring before this life, so nobody waits for it. `inRing` with `startedWith`: this life
 * began with that list; whoever is on it with this very life takes it, too.
 */
export interface RestartStatus {
  readonly phase: 'newcomer' | 'resuming' | 'inRing';
  readonly self: Member;
  readonly startedWith: readonly Member[] | undefined;
}

export const restartStatusCodec: Codec<RestartStatus> = recordCodec<RestartStatus>({
  phase: wordCodec(['newcomer', 'resuming', 'inRing']),
  self: memberCodec,
  startedWith: optionalCodec(listCodec(memberCodec, 8_192)),
});

export interface ColdStartOptions {
  readonly self: Member;
  readonly registry: Registry;
  readonly pool: PeerPool;
  /** False once this node has found its place some other way. */
  readonly isResuming: () => boolean;
  readonly begin: (members: readonly Member[]) => void;
  readonly signal: AbortSignal;
}

const ROUND_MS = 300;
const STATUS_TIMEOUT_MS = 500;
const REGISTRY_TIMEOUT_MS = 5_000;

/** Goes on until this node is in a ring, one way or the other, or the signal fires. Never throws. */
export async function watchForColdStart(options: ColdStartOptions): Promise<void> {
  while (options.isResuming() && !options.signal.aborted) {
    const members = await agreedMembers(options).catch(() => undefined);
    if (members !== undefined && options.isResuming() && !options.signal.aborted) {
      options.begin(members);
      return;
    }
    await pause(ROUND_MS, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

/** The members to start with; undefined while not everybody listed has answered. */
async function agreedMembers({
  self,
  registry,
  pool,
  signal,
}: ColdStartOptions): Promise<readonly Member[] | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(REGISTRY_TIMEOUT_MS)]);
  const listed = (await registry.liveMembers(limit)).filter(
    ({ instanceId, phase }) => instanceId !== self.instanceId && phase !== 'joining',
  );
  const statuses = await Promise.all(listed.map((member) => statusOf(pool, member)));
  const running = statuses.find(({ phase }) => phase === 'inRing');
  if (running !== undefined) {
    return running.startedWith?.some((member) => isSameLife(member, self)) ? running.startedWith : undefined;
  }
  const resuming = statuses.filter(({ phase }) => phase === 'resuming').map((status) => status.self);
  return [...resuming, self].sort((a, b) => a.id - b.id);
}

async function statusOf(pool: PeerPool, member: Member): Promise<RestartStatus> {
  // Its life has changed, by definition: whichever answers at that address is asked.
  const anyLife = { ...member, incarnation: undefined };
  const status = restartStatusCodec.decode(
    await pool.call(anyLife, RESTART_METHOD, [], { timeoutMs: STATUS_TIMEOUT_MS }),
  );
  return status;
}

function isSameLife(a: Member, b: Member): boolean {
  return a.instanceId === b.instanceId && a.incarnation === b.incarnation;
}
