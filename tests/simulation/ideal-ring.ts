/**
 * A ring that is ideal from the first moment, put together from the core's own data structures: every node's state is
 * what the protocol itself arrives at when nothing happens for long (`ideal-ring.test.ts` holds it to that).
 * Thousands of joins, admitted one at a time, would take hours to simulate.
 */
import { clockwiseDistance, type Identifier, RING_SIZE } from '../../domain/identifier.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { fingerStart, slotBeyond } from '../../node/chord/finger-table.ts';
import { EMPTY_TABLE, lowerBound, type MemberTable, mergeMember } from '../../node/chord/member-table.ts';
import { type Custody, type Fingers, type Grantee, NO_CUSTODY } from '../../node/chord/node-state.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Simulation } from './simulation.ts';

export interface IdealRingOptions {
  readonly ids: readonly Identifier[];
  /** Off: no member ever does anything by itself, and leases last for ever. For figures of routing alone. */
  readonly isMaintained: boolean;
  /** Came in since the fingers were looked up: pointers name them, fingers do not. */
  readonly newcomers?: ReadonlySet<Identifier>;
}

/** Adds the nodes to the simulation, all in one ring, ascending by identifier. */
export function placeIdealRing(simulation: Simulation, options: IdealRingOptions): readonly SimulatedNode[] {
  const ids = [...new Set(options.ids)].sort((a, b) => a - b);
  const nodes = ids.map((id) => simulation.addNode(id));
  const members = nodes.map(({ member }): RingMember => ({ ...member, phase: 'active' }));
  const table = simulation.config.memberTable ? tableOf(members) : undefined;
  const { newcomers, isMaintained } = options;
  const fingered = newcomers === undefined ? members : members.filter(({ id }) => !newcomers.has(id));
  for (const [index, node] of nodes.entries()) {
    simulation.start(node);
    simulation.registry.write(node.member, 'active');
    settle(simulation, { node, index, members, fingered, table, isMaintained });
  }
  for (const node of nodes) simulation.planWake(node);
  return nodes;
}

function tableOf(members: readonly RingMember[]): MemberTable {
  return members.reduce((table, member) => mergeMember(table, member, { tombstoneUntilMs: 0 }), EMPTY_TABLE);
}

interface Place {
  readonly node: SimulatedNode;
  readonly index: number;
  readonly members: readonly RingMember[];
  /** Those that may be fingers. */
  readonly fingered: readonly RingMember[];
  readonly table: MemberTable | undefined;
  readonly isMaintained: boolean;
}

function settle(simulation: Simulation, place: Place): void {
  const { node, index, members, table, isMaintained } = place;
  const { config, dice } = simulation;
  const at = (offset: number) => members[(index + offset + members.length) % members.length];
  const length = Math.min(config.successorListLength, members.length - 1);
  const successorList = Array.from({ length }, (_, i) => at(i + 1)).flatMap((member) => member ?? []);
  const nowMs = node.localMs(simulation.nowMs);
  const inMs = (periodMs: number) =>
    isMaintained ? nowMs + periodMs * dice.next() : Number.POSITIVE_INFINITY;
  const stabilizeAtMs = inMs(config.idlePeriodMs);
  node.state = {
    ...node.state,
    standing: 'inside',
    phase: 'active',
    pointers: {
      predecessor: members.length > 1 ? at(-1) : undefined,
      predecessorIsDead: false,
      successorList,
    },
    table: table ?? node.state.table,
    custody: custodyOf(simulation, place, isMaintained ? nowMs : Number.POSITIVE_INFINITY),
    fingers: table === undefined ? fingersOf(simulation, place) : node.state.fingers,
    schedule: {
      ...node.state.schedule,
      stabilizeAtMs,
      lastStabilizeAtMs: nowMs,
      periodMs: config.idlePeriodMs,
      quietRounds: 100,
      registrySyncAtMs: inMs(config.registrySyncMs),
      gossipAtMs: inMs(config.gossipPeriodMs),
    },
    wakeAtMs: isMaintained ? stabilizeAtMs : Number.POSITIVE_INFINITY,
  };
}

function custodyOf(simulation: Simulation, { members, index }: Place, fromMs: number): Custody {
  const { leaseMs, grantRightMs, leaseMarginMs } = simulation.config;
  const at = (offset: number) => members[(index + offset + 3 * members.length) % members.length];
  const [self, before, beforeThat, last] = [at(0), at(-1), at(-2), at(-3)];
  if (members.length === 1 || before === undefined || self === undefined) {
    return { ...NO_CUSTODY, arcFrom: self?.id };
  }
  const bounds = {
    leaseUntilMs: fromMs + leaseMs + leaseMarginMs,
    rightUntilMs: fromMs + grantRightMs + leaseMarginMs,
  };
  const grantee: Grantee = {
    ...bounds,
    member: before,
    arcFrom: beforeThat?.id,
    isExact: true,
    sequence: 1,
    heardAtMs: fromMs,
    next: beforeThat === undefined ? undefined : { ...bounds, member: beforeThat, arcFrom: last?.id },
  };
  return {
    ...NO_CUSTODY,
    arcFrom: before.id,
    sequence: 1,
    leaseUntilMs: fromMs + leaseMs,
    rightUntilMs: fromMs + grantRightMs,
    pairedWith: members.length === 2 ? before : undefined,
    grantee,
    reportedSequence: 1,
  };
}

/** What fix_fingers finds after it has gone once through all of them. */
function fingersOf({ config }: Simulation, { members, fingered, index }: Place): Fingers {
  const self = members[index]?.id;
  const last = members[(index + Math.min(config.successorListLength, members.length - 1)) % members.length];
  const fingers: { slot: number; member: RingMember }[] = [];
  if (self === undefined || last === undefined) return { members: fingers, next: 0 };
  let covered = clockwiseDistance(self, last.id);
  for (let from = 0; ; ) {
    const slot = slotBeyond(covered, from, config.fingerBits);
    if (slot === undefined) return { members: fingers, next: 0 };
    const start = fingerStart(self, slot, config.fingerBits);
    const member = fingered[lowerBound(fingered, start) % fingered.length];
    // Past ourselves: the circle is closed.
    if (member === undefined || clockwiseDistance(self, member.id) < covered)
      return { members: fingers, next: 0 };
    fingers.push({ slot, member });
    covered = Math.min(clockwiseDistance(self, member.id), RING_SIZE - 1);
    from = slot + 1;
  }
}
