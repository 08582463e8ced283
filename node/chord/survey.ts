/**
 * Is the ring ideal around a place? All members within r+1 of it, or all there are, are asked where they stand, and
 * must stand where the table says. Zave's theorem needs the neighbourhood of a join undisturbed; this is how a
 * newcomer knows.
 */
import type { Identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { lowerBound } from './member-table.ts';
import type { PointersAnswer } from './message.ts';
import type { Expected } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { call, type Turn } from './turn.ts';

/** Asks everybody around `id`; returns how many answers to await. */
export function askSurvey(turn: Turn, attempt: number, id: Identifier): number {
  const { node } = turn;
  const members = node.table.members.filter(({ instanceId }) => instanceId !== node.self.instanceId);
  const reach = node.config.successorListLength + 1;
  const start = lowerBound(members, id);
  const isSmall = members.length <= 2 * reach;
  const offsets = isSmall ? range(0, members.length) : range(-reach, reach);
  for (const offset of offsets) {
    const at = (start + offset + members.length) % members.length;
    const member = members[at];
    if (member === undefined) continue;
    const expected = expectedAt(members, at, node.config.successorListLength);
    call(turn, member, { kind: 'describe' }, { kind: 'survey', attempt, expected });
  }
  return offsets.length;
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

function expectedAt(members: readonly Member[], at: number, length: number): Expected {
  const successorList: Member[] = [];
  for (let i = 1; i < members.length && i <= length; i++) {
    const successor = members[(at + i) % members.length];
    if (successor !== undefined) successorList.push(successor);
  }
  const predecessor = members.length > 1 ? members[(at - 1 + members.length) % members.length] : undefined;
  return { predecessor, successorList };
}

/** The parts of `expected` that are given must match, the list from its head on. */
export function isAsExpected({ pointers }: PointersAnswer, expected: Expected): boolean {
  if (pointers === undefined || pointers.isAdmitting) return false;
  const { predecessor, successorList } = expected;
  const isPredecessorRight =
    predecessor === undefined ||
    (pointers.predecessor !== undefined &&
      !pointers.predecessorIsDead &&
      sameLife(pointers.predecessor, predecessor));
  return (
    isPredecessorRight &&
    successorList.every((member, i) => {
      const listed = pointers.successorList[i];
      return listed !== undefined && sameLife(listed, member);
    })
  );
}
