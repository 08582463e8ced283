/**
 * The safety net in the control plane: the member table is read now and then, and at once when a successor list is
 * exhausted. This is the step that makes every state of the model heal.
 */
import { clockwiseDistance } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { hasLease, isAlone } from './custody.ts';
import { exchangeWith } from './exchange.ts';
import { becomeReplaced } from './fencing.ts';
import { dropTombstones, findMember, isServing } from './member-table.ts';
import type { Registered } from './node-state.ts';
import { sameLife } from './ring-pointers.ts';
import { contact, forgetDeadPredecessor } from './stabilize.ts';
import { isResuming } from './take-over.ts';
import { kick, nextRegistrySync } from './timetable.ts';
import { askRegistry, type Turn } from './turn.ts';
import { verdictOn } from './verdict.ts';

export function syncRegistry(turn: Turn): void {
  const { node } = turn;
  node.schedule = {
    ...node.schedule,
    registrySyncAtMs: nextRegistrySync(turn),
  };
  node.table = dropTombstones(node.table, turn.nowMs);
  askRegistry(turn, { kind: 'members' }, { kind: 'sync' });
}

/** Its row is written before a member is admitted: one that has none any more, and no lease from another, was declared dead. */
function isDeclaredDead({ node, nowMs }: Turn): boolean {
  const isVouchedForByOthers = !isAlone(node) && hasLease(node, nowMs);
  return node.phase !== 'joining' && node.phase !== 'left' && !isVouchedForByOthers;
}

/**
 * A newcomer saw everybody leave who served when it came, and yet somebody serves: a leaver whose hand-over came to
 * nothing, or a ring begun anew. It owns nothing, so it may join that one from the start.
 */
function hasLostItsRing({ node }: Turn, listed: readonly Member[]): boolean {
  const isWaiting = node.phase === 'joining' && node.join === undefined && node.config.memberTable;
  return isWaiting && node.table.serving.length === 0 && listed.length > 0;
}

/** A member that the ring has replaced is still listed, perhaps because the table was away then: our vote, again. */
function voteForBuried(turn: Turn, listed: readonly Member[]): void {
  for (const { member: buried } of turn.node.table.tombstones) {
    const member = listed.find((other) => sameLife(other, buried));
    if (member === undefined) continue;
    askRegistry(turn, { kind: 'voteDead', member, evidence: 'silent' }, { kind: 'report' });
  }
}

/** The member table was away when a death was to be told, and still lists that life: told again, with what we saw. */
function tellAgain(turn: Turn, lives: Registered['lives']): void {
  const { node } = turn;
  const { untold } = node;
  node.untold = [];
  for (const member of untold) {
    const entry = findMember(node.table, member.id);
    const isOver =
      verdictOn(node, member)?.verdict === 'refused' || (entry?.phase === 'left' && sameLife(entry, member));
    if (!isOver || lives.get(member.instanceId) !== member.incarnation) continue;
    askRegistry(turn, { kind: 'voteDead', member, evidence: 'refused' }, { kind: 'report', gone: member });
  }
}

/**
 * The table lists exactly those that we believe to serve, each in the life we know, ourselves among them. Lives that
 * are over by their own refusal, or by a later one in the table, do not count; nor do, for one that is alone, those
 * that wait for their old place.
 */
function agreesWithTable(turn: Turn, listed: readonly Member[], lives: Registered['lives']): boolean {
  const { node } = turn;
  const others = isAlone(node) ? listed.filter((member) => !isResuming(turn, member)) : listed;
  const serving = node.table.serving.filter(
    (member) =>
      verdictOn(node, member)?.verdict !== 'refused' &&
      (lives.get(member.instanceId) ?? 0) <= member.incarnation,
  );
  return (
    others.length === serving.length &&
    serving.every((member) => others.some((other) => sameLife(other, member)))
  );
}

/**
 * The registry's members are a superset of the ring, so nobody is adopted from it unseen: who is news is asked, and
 * tells its own phase. The closest one after us is contacted as a candidate for our successor.
 */
export function registrySynced(turn: Turn, members: readonly RingMember[]): void {
  const { node } = turn;
  const lives = new Map(members.map(({ instanceId, incarnation }) => [instanceId, incarnation]));
  const serving = members.filter(({ phase }) => isServing(phase));
  node.registered = { lives, serving, atMs: turn.nowMs };
  const isOver = !lives.has(node.self.instanceId) && isDeclaredDead(turn);
  if (isOver || hasLostItsRing(turn, serving)) {
    becomeReplaced(turn);
    return;
  }
  let isNews = false;
  if (node.custody.isDoubtful && agreesWithTable(turn, serving, lives)) {
    node.custody = { ...node.custody, isDoubtful: false };
    isNews = true;
  }
  voteForBuried(turn, serving);
  tellAgain(turn, lives);
  const others = members.filter(
    (member) => member.instanceId !== node.self.instanceId && verdictOn(node, member) === undefined,
  );
  if (node.config.memberTable) {
    for (const member of others) {
      const entry = findMember(node.table, member.id);
      if (entry !== undefined && entry.incarnation >= member.incarnation) continue;
      exchangeWith(turn, member);
      isNews = true;
    }
  }
  const successor = node.pointers.successorList[0];
  const reach = successor === undefined ? 2 ** 32 : clockwiseDistance(node.self.id, successor.id);
  const isListed = (member: RingMember) => {
    const entry = findMember(node.table, member.id);
    return entry === undefined || (entry.phase !== 'left' && entry.incarnation <= member.incarnation);
  };
  const closer = others
    .filter((member) => clockwiseDistance(node.self.id, member.id) < reach && isListed(member))
    .sort((a, b) => clockwiseDistance(node.self.id, a.id) - clockwiseDistance(node.self.id, b.id));
  if (closer[0] !== undefined) contact(turn, closer[0]);
  else if (!node.config.memberTable && others.length === 0) forgetDeadPredecessor(turn);
  if (isNews || closer[0] !== undefined || successor === undefined) kick(turn);
}
