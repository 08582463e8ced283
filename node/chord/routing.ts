/** Where to send a lookup next: by the member table, or by fingers where there is none. */
import { clockwiseDistance, type Identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { lowerBound } from './member-table.ts';
import type { NodeState } from './node-state.ts';
import { hasVerdict } from './verdict.ts';

/** Candidates in one answer. Raised: fewer round trips when several are dead. Lowered: shorter messages. */
const CANDIDATES = 4;
/** Members before the key in an answer by fingers. With half of them dead, eight were all dead for 3 of 10,000 lookups. */
const CANDIDATES_BY_FINGERS = 16;

/** Best first; never self, nor anybody in `suspects` or given up here. */
export function routesTo(
  node: NodeState,
  key: Identifier,
  suspects: readonly string[],
): readonly RingMember[] {
  const isUsable = ({ instanceId }: Member) =>
    instanceId !== node.self.instanceId && !suspects.includes(instanceId) && !hasVerdict(node, instanceId);
  return node.config.memberTable ? byTable(node, key, isUsable) : byFingers(node, key, isUsable);
}

/** The first serving members at or after the key: the owner, and who owns the key if the first is dead. */
function byTable(
  { table }: NodeState,
  key: Identifier,
  isUsable: (member: Member) => boolean,
): readonly RingMember[] {
  const { serving } = table;
  const start = lowerBound(serving, key);
  const routes: RingMember[] = [];
  for (let i = 0; i < serving.length && routes.length < CANDIDATES; i++) {
    const member = serving[(start + i) % serving.length];
    if (member !== undefined && isUsable(member)) routes.push(member);
  }
  return routes;
}

/**
 * closest_preceding_node (TON 2003, fig. 5) over fingers and successor list; when the key lies behind a member of
 * the list, that member is its owner as far as we know.
 */
function byFingers(
  node: NodeState,
  key: Identifier,
  isUsable: (member: Member) => boolean,
): readonly RingMember[] {
  const { self, pointers, fingers } = node;
  const { predecessor, predecessorIsDead } = pointers;
  const list = pointers.successorList.filter(isUsable);
  const owner = list.find((member) => inArc(key, self.id, member.id));
  const preceding = [...fingers.members.map(({ member }) => member), ...list]
    .filter((member) => isUsable(member) && inOpenArc(member.id, self.id, key))
    .sort((a, b) => clockwiseDistance(b.id, key) - clockwiseDistance(a.id, key))
    .reverse();
  // Whoever may own the key goes along whole: when half of the ring is dead, nobody else knows of the live one.
  const owners = owner === undefined ? [] : list.slice(list.indexOf(owner));
  const chosen: Member[] = [...owners, ...preceding];
  const unique = chosen.filter((member, i) => chosen.findIndex(({ id }) => id === member.id) === i);
  const named = unique.slice(0, owners.length + CANDIDATES_BY_FINGERS);
  // Whoever was sent here for a key before our arc finds its owner there: one that came in just now.
  if (predecessor !== undefined && !predecessorIsDead && isUsable(predecessor)) named.push(predecessor);
  return named.map((member) => ({ ...member, phase: 'active' }));
}
