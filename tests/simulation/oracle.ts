/** The omniscient view: what an ideal ring of the nodes that are up looks like, and who is right. */
import { type Identifier, inArc, inOpenArc } from '../../domain/identifier.ts';
import { hasLease } from '../../node/chord/custody.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

export function insideById(simulation: Simulation): readonly SimulatedNode[] {
  return [...simulation.nodes.values()]
    .filter(({ isInside }) => isInside)
    .sort((a, b) => a.member.id - b.member.id);
}

/** The node that must answer "mine" for the key once the ring is quiet. */
export function rightOwner(simulation: Simulation, key: Identifier): SimulatedNode | undefined {
  const serving = insideById(simulation).filter(({ isServing }) => isServing);
  return serving.find(({ member }) => member.id >= key) ?? serving[0];
}

/** The first thing that is not as in an ideal ring; undefined: it is ideal. */
export function flaw(simulation: Simulation): string | undefined {
  const inside = insideById(simulation);
  if ([...simulation.nodes.values()].every(({ isUp }) => !isUp)) return undefined;
  if (inside.length === 0) return 'nobody is in the ring';
  for (const node of simulation.nodes.values()) {
    if (node.isUp && !node.isInside && node.state.standing !== 'gone') {
      return `${node.member.instanceId} is ${node.state.standing}`;
    }
    if (node.isUp && node.isLeaving && !node.isGone) return `${node.member.instanceId} is leaving`;
  }
  for (const [index, node] of inside.entries()) {
    const found = flawOf(simulation, inside, index, node);
    if (found !== undefined) return `${node.member.instanceId}: ${found}`;
  }
  return undefined;
}

function flawOf(
  simulation: Simulation,
  inside: readonly SimulatedNode[],
  index: number,
  node: SimulatedNode,
): string | undefined {
  const { pointers, table } = node.state;
  const count = inside.length;
  const predecessor = inside[(index - 1 + count) % count];
  const expected = Array.from(
    { length: Math.min(simulation.config.successorListLength, count - 1) },
    (_, i) => inside[(index + 1 + i) % count]?.member.instanceId,
  );
  const listed = pointers.successorList.map(({ instanceId }) => instanceId);
  if (listed.join() !== expected.join()) return `successor list ${listed.join()} is not ${expected.join()}`;
  if (
    count > 1 &&
    (pointers.predecessor?.instanceId !== predecessor?.member.instanceId || pointers.predecessorIsDead)
  ) {
    return `predecessor ${pointers.predecessor?.instanceId} is not ${predecessor?.member.instanceId}`;
  }
  if (!simulation.config.memberTable) return undefined;
  const known = table.members.map((m) => `${m.instanceId}/${m.incarnation}:${m.phase}`).join();
  const right = inside.map((n) => `${n.member.instanceId}/${n.member.incarnation}:${n.state.phase}`).join();
  if (known !== right) return `table ${known} is not ${right}`;
  return custodyFlaw(inside, index, node);
}

function custodyFlaw(
  inside: readonly SimulatedNode[],
  index: number,
  node: SimulatedNode,
): string | undefined {
  if (!node.isServing) return `is ${node.state.phase}`;
  const { arcFrom, unchecked } = node.state.custody;
  const before = [...inside.slice(0, index), ...inside.slice(index)].filter(({ isServing }) => isServing);
  const at = before.indexOf(node);
  const previous = before[(at - 1 + before.length) % before.length];
  if (arcFrom !== previous?.member.id) return `arc from ${arcFrom} is not from ${previous?.member.id}`;
  if (node.state.custody.isDoubtful) return 'is not sure of its arc';
  return unchecked.length > 0 ? 'has an unchecked arc' : undefined;
}

/** The stretches for which a node would say "mine" right now, by its own clock. */
export function spokenFor(
  node: SimulatedNode,
  nowMs: number,
): readonly { readonly from: Identifier; readonly to: Identifier }[] {
  const { state } = node;
  const { custody, self } = state;
  if (!node.isServing || custody.arcFrom === undefined || custody.isHandingOver) return [];
  if (!hasLease(state, node.localMs(nowMs))) return [];
  if (custody.unchecked.length === 0) return [{ from: custody.arcFrom, to: self.id }];
  // Unchecked arcs are cut out: each boundary on the way begins a new stretch.
  const bounds = [custody.arcFrom, ...custody.unchecked.flatMap(({ from, to }) => [from, to]), self.id];
  const distance = (id: Identifier) => (self.id - id) >>> 0;
  const sorted = [...new Set(bounds)].sort((a, b) => distance(b) - distance(a));
  if (custody.arcFrom === self.id) sorted.unshift(self.id);
  const stretches = [];
  for (let i = 0; i + 1 < sorted.length; i++) {
    const from = sorted[i];
    const to = sorted[i + 1];
    if (from === undefined || to === undefined) continue;
    if (custody.unchecked.every((arc) => !inArc(to, arc.from, arc.to))) stretches.push({ from, to });
  }
  return stretches;
}

export function overlap(
  a: { readonly from: Identifier; readonly to: Identifier },
  b: { readonly from: Identifier; readonly to: Identifier },
): boolean {
  if (a.from === a.to || b.from === b.to) return true;
  return inArc(a.to, b.from, b.to) || inArc(b.to, a.from, a.to) || inOpenArc(a.from, b.from, b.to);
}
