/**
 * How changes of the member table reach everybody: at once along a tree that covers the circle (each member passes
 * its part on to four others), and as a safety net on every stabilize in both directions, until acknowledged. What
 * both miss, the digests find.
 */
import { clockwiseDistance, type Identifier, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { becomeReplaced } from './fencing.ts';
import { withoutFinger } from './finger-table.ts';
import { membersBetween, mergeMember } from './member-table.ts';
import type { PendingCall } from './node-state.ts';
import { withoutMember } from './ring-pointers.ts';
import { kick } from './timetable.ts';
import { askRegistry, call, selfOf, type Turn, viewChanged, withEntry, withoutEntry } from './turn.ts';
import { hasVerdict } from './verdict.ts';

/** Changes kept for the neighbours. Raised: longer messages after a storm. Lowered: more digest exchanges. */
const NEWS_KEPT = 64;
/** Changes in one message. */
const NEWS_PER_MESSAGE = 16;
/** Branches of the announcing tree: 1,000 members are five steps away. */
const FAN_OUT = 4;

/** Takes in one change. False when it was nothing new. */
export function learn(turn: Turn, change: RingMember): boolean {
  const { node } = turn;
  if (change.id === node.self.id) {
    learnAboutSelf(turn, change);
    return false;
  }
  if (!node.config.memberTable) {
    if (change.phase === 'left') {
      dropPointers(turn, change);
      kick(turn);
    }
    return false;
  }
  const table = mergeMember(node.table, change, {
    tombstoneUntilMs: turn.nowMs + node.config.tombstoneMs,
    force: !node.config.corrections.incarnations,
  });
  if (table === node.table) return false;
  node.table = table;
  node.newsSequence += 1;
  node.news = [
    ...node.news.filter((item) => item.change.id !== change.id),
    { change, sequence: node.newsSequence },
  ].slice(-NEWS_KEPT);
  if (change.phase === 'left') {
    dropPointers(turn, change);
    if (node.condemned.has(change.instanceId)) recordVote(turn, change);
  } else {
    dropOlderLives(turn, change);
  }
  viewChanged(turn);
  if (isNearby(turn, change)) kick(turn);
  return true;
}

/**
 * Whether a change may concern our pointers or our arc: it lies in the reach of our list, or up to our predecessor.
 * All else is known by now, and looking again would tell nothing: in a ring of a thousand somebody is always coming
 * or going somewhere.
 */
function isNearby({ node }: Turn, { id }: Member): boolean {
  const { self, pointers, custody, config } = node;
  const { predecessor, predecessorIsDead, successorList } = pointers;
  const last = successorList[config.successorListLength - 1];
  if (last === undefined || predecessor === undefined || predecessorIsDead) return true;
  const isAhead = id === last.id || inOpenArc(id, self.id, last.id);
  const isBehind = id === predecessor.id || inOpenArc(id, predecessor.id, self.id);
  return isAhead || isBehind || id === custody.grantee?.member.id;
}

/** We voted for its replacement, and it has come about: the member table is told by every voter. */
function recordVote(turn: Turn, member: RingMember): void {
  turn.node.condemned = withoutEntry(turn.node.condemned, member.instanceId);
  askRegistry(turn, { kind: 'voteDead', member, evidence: 'silent' }, { kind: 'report' });
}

export function learnAll(turn: Turn, changes: readonly RingMember[]): void {
  for (const change of changes) learn(turn, change);
}

/** A member that hears of its own end has been replaced: it speaks for nothing from here on. */
function learnAboutSelf(turn: Turn, change: RingMember): void {
  const { self, phase, standing } = turn.node;
  const isOver = change.phase === 'left' && change.instanceId === self.instanceId;
  if (isOver && change.incarnation >= self.incarnation && standing === 'inside' && phase !== 'left') {
    becomeReplaced(turn);
  }
}

function dropPointers(turn: Turn, gone: Member): void {
  const { node } = turn;
  const { predecessor } = node.pointers;
  const isPredecessor =
    predecessor?.instanceId === gone.instanceId && predecessor.incarnation <= gone.incarnation;
  node.pointers = {
    predecessor,
    predecessorIsDead: node.pointers.predecessorIsDead || isPredecessor,
    successorList: withoutMember(node.pointers.successorList, gone.instanceId),
  };
  node.fingers = withoutFinger(node.fingers, gone.instanceId);
  if (node.admitting?.member.instanceId === gone.instanceId) node.admitting = undefined;
  node.suspicions = withoutEntry(node.suspicions, gone.instanceId);
  node.told = withoutEntry(node.told, gone.instanceId);
}

/** A pointer to an older life leads to a process that is no more, and must not be taken for the new one (Z8). */
function dropOlderLives(turn: Turn, alive: RingMember): void {
  const { node } = turn;
  if (!node.config.corrections.incarnations) return;
  const isOlder = (member: Member | undefined) =>
    member?.id === alive.id &&
    (member.incarnation < alive.incarnation || member.instanceId !== alive.instanceId);
  const { predecessor, successorList } = node.pointers;
  node.pointers = {
    predecessor,
    predecessorIsDead: node.pointers.predecessorIsDead || isOlder(predecessor),
    successorList: successorList.some(isOlder) ? successorList.filter((m) => !isOlder(m)) : successorList,
  };
  const suspicion = node.suspicions.get(alive.instanceId);
  if (suspicion !== undefined && suspicion.member.incarnation < alive.incarnation) {
    node.suspicions = withoutEntry(node.suspicions, alive.instanceId);
  }
}

/** Our own entry, in the table and on its way to everybody: others' words about us are not learned like this. */
export function publishSelf(turn: Turn): void {
  const { node } = turn;
  const change = selfOf(node);
  if (node.config.memberTable) {
    node.table = mergeMember(node.table, change, { tombstoneUntilMs: turn.nowMs + node.config.tombstoneMs });
  }
  node.newsSequence += 1;
  node.news = [
    ...node.news.filter((item) => item.change.id !== change.id),
    { change, sequence: node.newsSequence },
  ].slice(-NEWS_KEPT);
  viewChanged(turn);
  spread(turn, [change], node.self.id);
}

/** Learns a change made here and tells the whole circle. */
export function publish(turn: Turn, change: RingMember): void {
  learn(turn, change);
  spread(turn, [change], turn.node.self.id);
}

/** Tells everybody in the open arc (self, until). */
export function spread(turn: Turn, changes: readonly RingMember[], until: Identifier): void {
  const { node } = turn;
  const targets = membersBetween(node.table.members, node.self.id, until).filter(
    ({ instanceId }) =>
      instanceId !== node.self.instanceId && !changes.some((c) => c.instanceId === instanceId),
  );
  const part = Math.ceil(targets.length / FAN_OUT);
  for (let start = 0; start < targets.length; start += part) {
    const end = targets[start + part]?.id ?? until;
    announceTo(turn, changes, targets.slice(start, start + part), end);
  }
}

function announceTo(
  turn: Turn,
  changes: readonly RingMember[],
  branch: readonly RingMember[],
  until: Identifier,
): void {
  const at = branch.findIndex(({ instanceId }) => !hasVerdict(turn.node, instanceId));
  const head = branch[at];
  if (head === undefined) return;
  const request = { kind: 'announce', changes, until } as const;
  call(turn, head, request, { kind: 'announce', rest: branch.slice(at + 1), until });
}

/** The head of a branch does not answer: the member after it stands in. */
export function announceFailed(turn: Turn, failed: PendingCall): void {
  if (failed.purpose.kind !== 'announce' || failed.request.kind !== 'announce') return;
  announceTo(turn, failed.request.changes, failed.purpose.rest, failed.purpose.until);
}

/** What that neighbour has not been told yet. */
export function newsFor(turn: Turn, neighbour: Member): readonly RingMember[] {
  const after = turn.node.told.get(neighbour.instanceId) ?? 0;
  return turn.node.news
    .filter(({ change, sequence }) => sequence > after && change.instanceId !== neighbour.instanceId)
    .slice(0, NEWS_PER_MESSAGE)
    .map(({ change }) => change);
}

/** Sequence up to which a message to that neighbour carries everything. */
export function newsUpTo(turn: Turn, neighbour: Member): number {
  const after = turn.node.told.get(neighbour.instanceId) ?? 0;
  const pending = turn.node.news.filter(({ sequence }) => sequence > after);
  return pending[Math.min(pending.length, NEWS_PER_MESSAGE) - 1]?.sequence ?? turn.node.newsSequence;
}

export function noteTold(turn: Turn, neighbour: Member, sequence: number): void {
  if ((turn.node.told.get(neighbour.instanceId) ?? 0) >= sequence) return;
  turn.node.told = withEntry(turn.node.told, neighbour.instanceId, sequence);
}

/** A member in the open arc between self and `to`, closest to self, that nothing speaks against. */
export function nearestKnown(turn: Turn, to: Identifier): RingMember | undefined {
  const { node } = turn;
  const reach = clockwiseDistance(node.self.id, to);
  return membersBetween(node.table.members, node.self.id, to).find(
    (member) =>
      member.instanceId !== node.self.instanceId &&
      (reach === 0 || clockwiseDistance(node.self.id, member.id) < reach) &&
      !hasVerdict(node, member.instanceId),
  );
}
