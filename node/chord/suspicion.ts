/**
 * Failure detection that doubts itself: a failed call starts a suspicion; the suspect is asked again, then through
 * others, and only then given up. A process that is gone refuses the connection, a hung or cut off one is silent:
 * the two verdicts lead to different things (`take-over.ts`).
 */
import type { Member } from '../../domain/member.ts';
import type { FailureEvidence } from './event.ts';
import { withoutFinger } from './finger-table.ts';
import { findMember } from './member-table.ts';
import { publish } from './news.ts';
import type { NodeState, PendingCall, Suspicion } from './node-state.ts';
import { withoutMember } from './ring-pointers.ts';
import { kick } from './timetable.ts';
import { answer, call, isAwaiting, type Turn, withEntry, withoutEntry } from './turn.ts';

/** Pause before a member with a verdict is tried again, growing; a partition heals by this. */
const REPROBE_MS = 1_000;
const MAX_REPROBE_MS = 5_000;

/** Somebody had trouble with that member: ask it ourselves, now. */
export function suspect(turn: Turn, member: Member): void {
  const { node } = turn;
  if (member.instanceId === node.self.instanceId || node.suspicions.has(member.instanceId)) return;
  if (isAwaiting(node, (purpose, to) => purpose.kind === 'probe' && to.instanceId === member.instanceId))
    return;
  call(turn, member, { kind: 'ping' }, { kind: 'probe' });
}

/** A call of ours to that member failed. */
export function observeFailure(turn: Turn, member: Member, evidence: FailureEvidence): void {
  const { node } = turn;
  if (node.standing !== 'inside') return;
  const entry = findMember(node.table, member.id);
  if (entry !== undefined && (entry.phase === 'left' || entry.incarnation > member.incarnation)) return;
  const known = node.suspicions.get(member.instanceId);
  const before = known?.member.incarnation === member.incarnation ? known : newSuspicion(turn, member);
  const isRefusal = evidence !== 'timeout';
  // Connections that break together are one event: only a refusal after a pause is a second one.
  const counts = isRefusal && turn.nowMs >= before.lastRefusalMs + node.config.probePauseMs;
  const suspicion: Suspicion = {
    ...before,
    failures: before.failures + 1,
    refusals: before.refusals + (counts ? 1 : 0),
    lastRefusalMs: counts ? turn.nowMs : before.lastRefusalMs,
    nextProbeMs: Math.min(before.nextProbeMs, turn.nowMs + node.config.probePauseMs),
  };
  judge(turn, suspicion);
}

function newSuspicion(turn: Turn, member: Member): Suspicion {
  return {
    member,
    failures: 0,
    refusals: 0,
    lastRefusalMs: Number.NEGATIVE_INFINITY,
    nextProbeMs: Number.POSITIVE_INFINITY,
    probes: 0,
    indirect: undefined,
    verdict: undefined,
    verdictAtMs: turn.nowMs,
  };
}

function judge(turn: Turn, suspicion: Suspicion): void {
  const { node } = turn;
  const { probeCount, corrections } = node.config;
  node.suspicions = withEntry(node.suspicions, suspicion.member.instanceId, suspicion);
  if (suspicion.verdict !== undefined) {
    if (suspicion.verdict === 'silent' && suspicion.refusals >= 2) condemn(turn, suspicion, 'refused');
    return;
  }
  if (!corrections.doubtfulDetection) {
    condemn(turn, suspicion, 'refused');
    return;
  }
  if (suspicion.refusals >= 2) {
    condemn(turn, suspicion, 'refused');
    return;
  }
  // Refused a moment ago: the next probe will tell a process that is gone, which need not be waited out like silence.
  const isSilent = turn.nowMs >= suspicion.lastRefusalMs + node.config.probePauseMs;
  if (suspicion.indirect === undefined) askOthers(turn, suspicion);
  else if (suspicion.indirect === 0 && suspicion.failures >= probeCount && isSilent) {
    condemn(turn, suspicion, 'silent');
  }
}

/** Indirect probes (SWIM): the fault may be ours, or the link's. They run beside our own second probe. */
function askOthers(turn: Turn, suspicion: Suspicion): void {
  const { node } = turn;
  const { member } = suspicion;
  const others = node.table.members.filter(
    ({ instanceId }) =>
      instanceId !== node.self.instanceId &&
      instanceId !== member.instanceId &&
      !node.suspicions.has(instanceId),
  );
  const first = Math.floor(turn.random() * others.length);
  const count = Math.min(others.length, node.config.indirectProbes);
  node.suspicions = withEntry(node.suspicions, member.instanceId, { ...suspicion, indirect: count });
  for (let i = 0; i < count; i++) {
    const helper = others[(first + i) % others.length];
    if (helper === undefined) continue;
    call(turn, helper, { kind: 'pingVia', target: member }, { kind: 'probeVia', suspect: member });
  }
}

/** One indirect probe came back. */
export function indirectProbed(
  turn: Turn,
  target: Member,
  outcome: { readonly incarnation: number | undefined; readonly refused: boolean } | undefined,
): void {
  const { node } = turn;
  const suspicion = node.suspicions.get(target.instanceId);
  if (suspicion === undefined || suspicion.verdict !== undefined) return;
  if (suspicion.member.incarnation !== target.incarnation) return;
  if (outcome?.incarnation === target.incarnation) {
    // Alive, only not to us. It keeps its place; we ask again a little later.
    node.suspicions = withEntry(node.suspicions, target.instanceId, {
      ...newSuspicion(turn, target),
      nextProbeMs: turn.nowMs + REPROBE_MS,
    });
    return;
  }
  const isRefusal = outcome?.refused === true;
  judge(turn, {
    ...suspicion,
    indirect: Math.max(0, (suspicion.indirect ?? 1) - 1),
    refusals: suspicion.refusals + (isRefusal && suspicion.refusals === 0 ? 1 : 0),
  });
}

function condemn(turn: Turn, suspicion: Suspicion, verdict: 'refused' | 'silent'): void {
  const { node } = turn;
  const { member } = suspicion;
  node.suspicions = withEntry(node.suspicions, member.instanceId, {
    ...suspicion,
    verdict,
    verdictAtMs: suspicion.verdict === undefined ? turn.nowMs : suspicion.verdictAtMs,
    nextProbeMs: turn.nowMs + REPROBE_MS,
  });
  const { predecessor, successorList } = node.pointers;
  const isPredecessor = predecessor?.instanceId === member.instanceId;
  const wasNeighbour = isPredecessor || successorList[0]?.instanceId === member.instanceId;
  dropFromRing(turn, member, isPredecessor);
  node.fingers = withoutFinger(node.fingers, member.instanceId);
  if (node.admitting?.member.instanceId === member.instanceId) node.admitting = undefined;
  // A joining member owns nothing yet, so its neighbours may bury it; a serving one is its grantor's alone.
  const entry = findMember(node.table, member.id);
  if (wasNeighbour && entry?.phase === 'joining' && entry.instanceId === member.instanceId) {
    publish(turn, { ...entry, phase: 'left' });
  }
  kick(turn);
}

function dropFromRing(turn: Turn, member: Member, isPredecessor: boolean): void {
  const { node } = turn;
  const { pointers, config } = node;
  const keeps = config.corrections.keepDeadPredecessor;
  node.pointers = {
    predecessor: isPredecessor && !keeps ? undefined : pointers.predecessor,
    predecessorIsDead: keeps && (pointers.predecessorIsDead || isPredecessor),
    successorList: withoutMember(pointers.successorList, member.instanceId),
  };
}

/** A message from that life: whatever we thought of it, it lives. */
export function observeAlive(turn: Turn, member: Member): void {
  const { node } = turn;
  const suspicion = node.suspicions.get(member.instanceId);
  if (suspicion === undefined) return;
  // A later life speaking is no sign of life of the earlier one.
  const isSameLife = suspicion.member.incarnation === member.incarnation;
  if (!isSameLife && node.config.corrections.incarnations) return;
  node.suspicions = withoutEntry(node.suspicions, member.instanceId);
  if (suspicion.verdict === undefined) return;
  if (node.pointers.predecessor?.instanceId === member.instanceId && node.pointers.predecessorIsDead) {
    const isStillIt = node.pointers.predecessor.incarnation === member.incarnation;
    node.pointers = { ...node.pointers, predecessorIsDead: !isStillIt };
  }
  kick(turn);
}

/** Suspects whose next probe is due. */
export function probeSuspects(turn: Turn): void {
  const { node } = turn;
  for (const suspicion of node.suspicions.values()) {
    const { member } = suspicion;
    if (suspicion.nextProbeMs > turn.nowMs) continue;
    if (isForgotten(node, member)) {
      node.suspicions = withoutEntry(node.suspicions, member.instanceId);
      continue;
    }
    const pause = Math.min(REPROBE_MS * 2 ** Math.max(0, suspicion.probes - 1), MAX_REPROBE_MS);
    node.suspicions = withEntry(node.suspicions, member.instanceId, {
      ...suspicion,
      probes: suspicion.probes + 1,
      nextProbeMs: turn.nowMs + pause,
    });
    if (isAwaiting(node, (purpose, to) => purpose.kind === 'probe' && to.instanceId === member.instanceId)) {
      continue;
    }
    call(turn, member, { kind: 'ping' }, { kind: 'probe' });
  }
}

/** Neither in the table nor in the pointers: nobody depends on what becomes of it. */
function isForgotten(node: NodeState, { id, instanceId }: Member): boolean {
  const { predecessor, predecessorIsDead, successorList } = node.pointers;
  if (successorList.some((member) => member.instanceId === instanceId)) return false;
  const entry = findMember(node.table, id);
  if (entry !== undefined && entry.phase !== 'left' && entry.instanceId === instanceId) return false;
  return predecessorIsDead || predecessor?.instanceId !== instanceId;
}

/** Somebody asks us to probe for it. */
export function probeForOther(turn: Turn, target: Member, callId: number): void {
  if (target.instanceId === turn.node.self.instanceId) {
    answer(turn, callId, { kind: 'pinged', incarnation: turn.node.self.incarnation, refused: false });
    return;
  }
  call(turn, target, { kind: 'ping' }, { kind: 'relay', callId });
}

export function relayEnded(turn: Turn, pending: PendingCall, outcome: FailureEvidence | number): void {
  if (pending.purpose.kind !== 'relay') return;
  const isAlive = typeof outcome === 'number';
  answer(turn, pending.purpose.callId, {
    kind: 'pinged',
    incarnation: isAlive ? outcome : undefined,
    refused: !isAlive && outcome !== 'timeout',
  });
}
