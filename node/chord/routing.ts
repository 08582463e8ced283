/** Where to send a lookup next: by the member table, or by fingers where there is none. */
import { clockwiseDistance, type Identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { lowerBound } from './member-table.ts';
import type { NodeState } from './node-state.ts';
import { hasVerdict } from './verdict.ts';

/** Candidates in one answer. Raised: fewer round trips when several are dead. Lowered: shorter messages. */
const CANDIDATES = 4;

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
  const list = pointers.successorList.filter(isUsable);
  const owner = list.find((member) => inArc(key, self.id, member.id));
  const preceding = [...fingers.members, ...list]
    .filter((member) => isUsable(member) && inOpenArc(member.id, self.id, key))
    .sort((a, b) => clockwiseDistance(b.id, key) - clockwiseDistance(a.id, key))
    .reverse();
  const chosen: Member[] = owner === undefined ? preceding : [...ownersFrom(list, owner), ...preceding];
  const unique = chosen.filter((member, i) => chosen.findIndex(({ id }) => id === member.id) === i);
  return unique.slice(0, 2 * CANDIDATES).map((member) => ({ ...member, phase: 'active' }));
}

function ownersFrom(list: readonly Member[], owner: Member): readonly Member[] {
  return list.slice(list.indexOf(owner), list.indexOf(owner) + CANDIDATES);
}
