/**
 * A newcomer's arc where there is no member table, and so no custody: the member after it goes on answering for the
 * arc until the newcomer asks for it. Chord as published takes whoever is in the pointers for the owner, so that for
 * as long as a newcomer settles nobody answers for its keys.
 */
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { sameLife } from './ring-pointers.ts';
import { answer, type Turn } from './turn.ts';

/** `from` has just notified us; `before` was our predecessor until then. */
export function noteNewcomer({ node }: Turn, from: RingMember, before: Member | undefined): void {
  const { predecessor } = node.pointers;
  if (node.config.memberTable || predecessor === undefined || !sameLife(predecessor, from)) return;
  if (from.phase !== 'joining') {
    node.newcomer = undefined;
    return;
  }
  if (before !== undefined && sameLife(before, from)) return;
  // Several may come in before the first of them serves: the arc begins where it began before all of them.
  const arcFrom = node.newcomer?.arcFrom ?? before?.id ?? node.self.id;
  node.newcomer = { member: from, arcFrom };
}

/** It is ready to serve. We stop first, so that two never answer for one key. */
export function giveToNewcomer(turn: Turn, from: Member, callId: number): void {
  const { node } = turn;
  const { predecessor } = node.pointers;
  if (predecessor === undefined || !sameLife(predecessor, from)) {
    answer(turn, callId, { kind: 'refused', reason: 'notResponsible', to: undefined });
    return;
  }
  const arcFrom = node.newcomer?.arcFrom ?? from.id;
  node.newcomer = undefined;
  answer(turn, callId, { kind: 'ceded', arcFrom, grant: undefined });
}
