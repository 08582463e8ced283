import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { type ChordConfig, DEFAULT_CONFIG } from './config.ts';
import type { ChordEffect, Instant, RegistryRequest } from './event.ts';
import { EMPTY_TABLE, isServing } from './member-table.ts';
import type { Answer, Request } from './message.ts';
import { NO_CUSTODY, type NodeState, type Purpose, type RegistryPurpose, type Step } from './node-state.ts';
import { NO_POINTERS } from './ring-pointers.ts';

export type Draft = { -readonly [Field in keyof NodeState]: NodeState[Field] };

/**
 * One step under way: a draft of the next state, and the effects so far. Lives for one call of `step` only; the
 * values in the draft are themselves immutable and are replaced, never changed.
 */
export interface Turn {
  readonly node: Draft;
  readonly effects: ChordEffect[];
  readonly nowMs: number;
  /** Uniform in [0, 1), a new one at each call. */
  random(): number;
}

export function beginTurn(state: NodeState, { nowMs, random }: Instant): Turn {
  let seed = Math.floor(random * 2 ** 32) >>> 0;
  return {
    node: { ...state },
    effects: [],
    nowMs,
    random() {
      // One fresh number per event is spread over several draws by mulberry32.
      seed = (seed + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}

export function endTurn({ node, effects }: Turn): Step {
  return { state: node, effects };
}

/** A node outside of any ring. */
export function createNode(self: Member, config: ChordConfig = DEFAULT_CONFIG): NodeState {
  return {
    config,
    self,
    standing: 'outside',
    phase: 'joining',
    pointers: NO_POINTERS,
    table: EMPTY_TABLE,
    custody: NO_CUSTODY,
    calls: new Map(),
    lastId: 0,
    suspicions: new Map(),
    lookups: new Map(),
    waiting: [],
    news: [],
    newsSequence: 0,
    told: new Map(),
    heard: undefined,
    agreed: undefined,
    join: undefined,
    entering: undefined,
    admitting: undefined,
    highestFence: 0,
    election: undefined,
    revival: undefined,
    condemned: new Map(),
    registryRequests: new Map(),
    registered: undefined,
    reported: new Set(),
    untold: [],
    resuming: new Map(),
    fingers: { members: [], next: 0 },
    newcomer: undefined,
    schedule: {
      stabilizeAtMs: Number.POSITIVE_INFINITY,
      lastStabilizeAtMs: Number.NEGATIVE_INFINITY,
      periodMs: config.stabilizePeriodMs,
      quietRounds: 0,
      busyUntilMs: Number.NEGATIVE_INFINITY,
      registrySyncAtMs: Number.POSITIVE_INFINITY,
      gossipAtMs: Number.POSITIVE_INFINITY,
      gossipedDigest: undefined,
      reviveAtMs: Number.POSITIVE_INFINITY,
    },
    wakeAtMs: Number.POSITIVE_INFINITY,
  };
}

export function selfOf(node: NodeState): RingMember {
  return { ...node.self, phase: node.phase };
}

export function servesNow(node: NodeState): boolean {
  return node.standing === 'inside' && isServing(node.phase);
}

export function freshId(turn: Turn): number {
  turn.node.lastId += 1;
  return turn.node.lastId;
}

export function call(turn: Turn, to: Member, request: Request, purpose: Purpose): void {
  const callId = freshId(turn);
  const calls = new Map(turn.node.calls);
  calls.set(callId, { to, request, purpose, sentAtMs: turn.nowMs });
  turn.node.calls = calls;
  turn.effects.push({ kind: 'call', callId, to, request, timeoutMs: turn.node.config.maxTimeoutMs });
}

export function answer(turn: Turn, callId: number, reply: Answer): void {
  turn.effects.push({ kind: 'answer', callId, answer: reply });
}

export function askRegistry(turn: Turn, request: RegistryRequest, purpose: RegistryPurpose): void {
  if (!turn.node.config.registry) return;
  const requestId = freshId(turn);
  turn.node.registryRequests = withEntry(turn.node.registryRequests, requestId, purpose);
  turn.effects.push({ kind: 'askRegistry', requestId, request });
}

export function isAwaiting(node: NodeState, matches: (purpose: Purpose, to: Member) => boolean): boolean {
  for (const { purpose, to } of node.calls.values()) if (matches(purpose, to)) return true;
  return false;
}

export function viewChanged(turn: Turn): void {
  if (!turn.effects.some(({ kind }) => kind === 'viewChanged')) turn.effects.push({ kind: 'viewChanged' });
}

export function withEntry<Key, Value>(
  map: ReadonlyMap<Key, Value>,
  key: Key,
  value: Value,
): ReadonlyMap<Key, Value> {
  return new Map(map).set(key, value);
}

export function withoutEntry<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): ReadonlyMap<Key, Value> {
  if (!map.has(key)) return map;
  const copy = new Map(map);
  copy.delete(key);
  return copy;
}

/** `base` shortened or lengthened by the configured share, so that members do not march in step. */
export function jittered(turn: Turn, baseMs: number): number {
  return baseMs * (1 + turn.node.config.jitter * (2 * turn.random() - 1));
}
