/** When the next stabilize is due: soon after a change, rarely when nothing happens. */
import { lowerBound } from './member-table.ts';
import type { NodeState } from './node-state.ts';
import { jittered, type Turn } from './turn.ts';

/** Two stabilizes are at least this far apart, however many things happen: kicks must not feed on themselves. */
const KICK_PAUSE_MS = 50;

/** Quiet rounds that still come soon while the list lags: a list is handed on one place a round. */
const LAGGING_ROUNDS = 12;

/** Something changed: look again soon. */
export function kick(turn: Turn): void {
  const { node } = turn;
  if (node.standing !== 'inside') return;
  stabilizeSoon(turn);
  node.schedule = { ...node.schedule, periodMs: node.config.eagerPeriodMs, quietRounds: 0 };
}

function stabilizeSoon({ node, nowMs }: Turn): void {
  const { schedule } = node;
  const soonest = Math.max(nowMs, schedule.lastStabilizeAtMs + KICK_PAUSE_MS);
  node.schedule = { ...schedule, stabilizeAtMs: Math.min(schedule.stabilizeAtMs, soonest) };
}

/** A round is over. `isQuiet`: it told nothing new. */
export function roundEnded(turn: Turn, isQuiet: boolean): void {
  const { schedule } = turn.node;
  const quietRounds = isQuiet ? schedule.quietRounds + 1 : 0;
  turn.node.schedule = { ...schedule, quietRounds, periodMs: nextPeriod(turn.node, quietRounds) };
  if (quietRounds <= LAGGING_ROUNDS && isListBehindTable(turn.node)) stabilizeSoon(turn);
}

/**
 * A newcomer is in everybody's table at once, but the lists come from the successor, one place a round; and until all of
 * them are whole the ring is not ideal, and the next newcomer waits.
 */
function isListBehindTable({ config, table, pointers, self, suspicions }: NodeState): boolean {
  const { members } = table;
  const start = lowerBound(members, self.id);
  let listed = 0;
  for (let i = 0; i < members.length && listed < config.successorListLength; i++) {
    const member = members[(start + i) % members.length];
    if (member === undefined || member.instanceId === self.instanceId || suspicions.has(member.instanceId)) {
      continue;
    }
    if (pointers.successorList[listed]?.id !== member.id) return true;
    listed += 1;
  }
  return false;
}

/** Of two, each is the other's only grantor: with leases always fresh, the one left needs nobody's word to go on. */
function longestPeriod({ config, table }: NodeState): number {
  return table.serving.length === 2
    ? Math.min(config.idlePeriodMs, 0.6 * config.leaseMs)
    : config.idlePeriodMs;
}

function nextPeriod(node: NodeState, quietRounds: number): number {
  const { config } = node;
  const { periodMs } = node.schedule;
  const longest = longestPeriod(node);
  if (quietRounds === 0) return config.eagerPeriodMs;
  if (periodMs < config.stabilizePeriodMs) return Math.min(config.stabilizePeriodMs, longest);
  if (quietRounds <= config.quietRounds) return Math.min(periodMs, longest);
  return Math.min(periodMs * 1.5, longest);
}

/** A round begins: when the next one will. */
export function scheduleNext(turn: Turn): void {
  const { schedule, config } = turn.node;
  const isBusy = schedule.busyUntilMs > turn.nowMs;
  const period = isBusy ? Math.min(schedule.periodMs, config.stabilizePeriodMs) : schedule.periodMs;
  turn.node.schedule = {
    ...schedule,
    lastStabilizeAtMs: turn.nowMs,
    stabilizeAtMs: turn.nowMs + jittered(turn, period),
  };
}

/** How long one lookup keeps its owner's lease fresh. */
const BUSY_MS = 3_000;

/** A lookup came for our arc: keep the lease fresh for a while, so that the next need not wait. */
export function noteTraffic(turn: Turn): void {
  const { node } = turn;
  const wasBusy = node.schedule.busyUntilMs > turn.nowMs;
  node.schedule = { ...node.schedule, busyUntilMs: turn.nowMs + BUSY_MS };
  if (wasBusy) return;
  const latest = node.schedule.lastStabilizeAtMs + node.config.stabilizePeriodMs;
  node.schedule = {
    ...node.schedule,
    stabilizeAtMs: Math.min(node.schedule.stabilizeAtMs, Math.max(turn.nowMs, latest)),
  };
}

/** From here on this node has pointers and keeps them up. */
export function enterRing(turn: Turn): void {
  const { node } = turn;
  node.standing = 'inside';
  node.schedule = {
    ...node.schedule,
    stabilizeAtMs: turn.nowMs + node.config.eagerPeriodMs * turn.random(),
    periodMs: node.config.eagerPeriodMs,
    registrySyncAtMs: nextRegistrySync(turn),
    gossipAtMs: turn.nowMs + jittered(turn, node.config.gossipPeriodMs),
  };
}

/** The registry is read now and then even when nothing is wrong: what nobody in the ring can know is found there. */
export function nextRegistrySync(turn: Turn): number {
  const { registrySyncMs, corrections } = turn.node.config;
  return corrections.registryResync ? turn.nowMs + jittered(turn, registrySyncMs) : Number.POSITIVE_INFINITY;
}
