/** The other side of a join: the member after the place admits, the member before it gives its list. */
import { inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { findMember } from './member-table.ts';
import type { RefusalReason } from './message.ts';
import { sameLife } from './ring-pointers.ts';
import { contact, pointersAnswer } from './stabilize.ts';
import { answer, type Turn } from './turn.ts';

/** An admission that leads nowhere is forgotten after this. */
const ADMISSION_MS = 5_000;

interface Applicant {
  readonly from: Member;
  readonly fence: number;
}

export function admit(turn: Turn, { from, fence }: Applicant, callId: number): void {
  const { node } = turn;
  if (node.standing !== 'inside') {
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: node.standing === 'resuming' });
    return;
  }
  const reason = reasonAgainst(turn, { from, fence });
  if (reason !== undefined) {
    answer(turn, callId, { kind: 'refused', reason, to: undefined });
    return;
  }
  node.highestFence = Math.max(node.highestFence, fence);
  const least = minimumIncarnation(turn, from);
  // One that must come back as a later life goes no further now, and would find its own admission in its way.
  if (node.config.corrections.serialAdmission && least === from.incarnation) {
    node.admitting = { member: from, untilMs: turn.nowMs + ADMISSION_MS };
  }
  const predecessor = node.pointers.predecessor ?? node.self;
  answer(turn, callId, { kind: 'admitted', predecessor, minimumIncarnation: least });
}

/** An id used before, by whomever, must come back with a later life than any that is remembered. */
function minimumIncarnation({ node }: Turn, from: Member): number {
  const entry = findMember(node.table, from.id);
  if (entry === undefined || !node.config.corrections.incarnations) return from.incarnation;
  return entry.incarnation >= from.incarnation ? entry.incarnation + 1 : from.incarnation;
}

function reasonAgainst(turn: Turn, { from, fence }: Applicant): RefusalReason | undefined {
  const { node } = turn;
  const { pointers, self, config, admitting } = node;
  const entry = findMember(node.table, from.id);
  const isTaken = from.id === self.id || (entry !== undefined && isLivingOther(turn, entry, from));
  if (isTaken) return 'idTaken';
  const { predecessor, predecessorIsDead } = pointers;
  if (predecessor !== undefined && !inOpenArc(from.id, predecessor.id, self.id)) return 'notResponsible';
  if (!config.corrections.serialAdmission) return undefined;
  if (fence < node.highestFence) return 'staleFence';
  const isOpen =
    admitting !== undefined &&
    admitting.untilMs > turn.nowMs &&
    admitting.member.instanceId !== from.instanceId;
  if (isOpen || predecessorIsDead) return 'notIdeal';
  if (predecessor === undefined) return pointers.successorList.length === 0 ? undefined : 'notIdeal';
  return node.suspicions.has(predecessor.instanceId) ? 'notIdeal' : undefined;
}

function isLivingOther(turn: Turn, entry: Member & { readonly phase: string }, from: Member): boolean {
  if (entry.phase === 'left') return false;
  if (entry.instanceId !== from.instanceId) return true;
  // The same machine, an older life that nobody has buried yet: its end is noticed first.
  return turn.node.config.corrections.incarnations || entry.incarnation === from.incarnation;
}

/** The newcomer takes our list for its own, and us for its predecessor; we look at it before we take it. */
export function joinAfter(turn: Turn, { from, fence }: Applicant, callId: number): void {
  const { node } = turn;
  if (node.standing !== 'inside') {
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: node.standing === 'resuming' });
    return;
  }
  const successor = node.pointers.successorList[0];
  const fits = successor === undefined || inOpenArc(from.id, node.self.id, successor.id);
  const isStale = node.config.corrections.serialAdmission && fence < node.highestFence;
  if (!fits || isStale || (successor !== undefined && sameLife(successor, from))) {
    answer(turn, callId, {
      kind: 'refused',
      reason: isStale ? 'staleFence' : 'notResponsible',
      to: undefined,
    });
    return;
  }
  node.highestFence = Math.max(node.highestFence, fence);
  answer(turn, callId, pointersAnswer(turn, undefined, { knownDigest: 0, lease: undefined }));
  contact(turn, from);
}
