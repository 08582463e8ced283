import type { PositionClaim } from './assignment.ts';
import type { GroupInstance } from './group-view.ts';
import { isTerminal, lastSignMs, type MemberRecord } from './member-record.ts';
import { findRingFaults, type RingFault } from './ring-closure.ts';
import type { RingMeta } from './ring-meta.ts';
import { isDead } from './ring-registry.ts';
import type { Timing } from './timing.ts';

/**
 * The reconciler's judgement: what differs between the group, EC2 and the table, and what to do about it. Level
 * triggered and pure: it looks at what is, never at what happened, so lost events cost a minute and doubled ones
 * nothing. Every repair is safe to repeat and guarded again where it is carried out.
 */
export type Repair =
  /** The instance has no row, or a row without a place, for longer than its own claim would take. */
  | { readonly kind: 'assign'; readonly instanceId: string; readonly finding: string }
  | {
      readonly kind: 'bury';
      readonly member: MemberRecord;
      readonly as: 'FAILED' | 'DEAD' | 'GONE';
      readonly finding: string;
      /** Judged by its silence: a report that comes meanwhile saves it. */
      readonly isForSilence?: true;
    }
  | { readonly kind: 'markLeaving'; readonly member: MemberRecord; readonly finding: string }
  | {
      readonly kind: 'complete';
      readonly instanceId: string;
      readonly transition: 'launch' | 'terminate';
      readonly result: 'CONTINUE' | 'ABANDON';
      readonly finding: string;
    }
  /** EC2 thinks the machine is fine, the ring knows better: the group shall replace it. */
  | { readonly kind: 'setUnhealthy'; readonly instanceId: string; readonly finding: string }
  | { readonly kind: 'freePosition'; readonly claim: PositionClaim; readonly finding: string }
  /** A machine that EC2 thinks well of and that nobody hears of, not even peers that could say it is dead. */
  | { readonly kind: 'tellSilent'; readonly member: MemberRecord; readonly finding: string }
  /** Nothing that can be repaired from outside: the members see it too, and a person should. */
  | { readonly kind: 'tellSplit'; readonly fault: RingFault; readonly finding: string };

export interface Observation {
  readonly meta: RingMeta;
  readonly members: readonly MemberRecord[];
  readonly positions: readonly PositionClaim[];
  /** Lives that the ring has confirmed dead. */
  readonly deaths: ReadonlyMap<string, number>;
  readonly instances: readonly GroupInstance[];
  /** EC2's state by instance id, for every instance of the group and every row that is not terminal. */
  readonly ec2: ReadonlyMap<string, string>;
  readonly nowMs: number;
  readonly timing: Timing;
}

const RUNNING = new Set(['pending', 'running']);

export function decideRepairs(seen: Observation): readonly Repair[] {
  const instances = new Map(seen.instances.map((instance) => [instance.instanceId, instance.lifecycleState]));
  const rows = new Map(seen.members.map((member) => [member.instanceId, member]));
  return [
    ...seen.instances.flatMap((instance) => judgeInstance(seen, instance, rows.get(instance.instanceId))),
    ...seen.members.flatMap((member) => judgeMember(seen, member, instances.get(member.instanceId))),
    ...seen.positions.flatMap((claim) => judgePosition(seen, claim, rows.get(claim.instanceId))),
    ...findRingFaults(seen).flatMap(judgeFault),
  ];
}

/** A stray keeps clients from the files of the ring it does not belong to: it is replaced like a dead one. */
function judgeFault(fault: RingFault): Repair[] {
  const { finding, strays } = fault;
  return [
    { kind: 'tellSplit', fault, finding },
    ...strays.map((member): Repair => ({ kind: 'bury', member, as: 'DEAD', finding })),
  ];
}

/** What the group waits for. */
function judgeInstance(
  seen: Observation,
  instance: GroupInstance,
  member: MemberRecord | undefined,
): Repair[] {
  switch (instance.lifecycleState) {
    case 'Pending:Wait':
      return judgeLaunch(seen, instance.instanceId, member);
    case 'Terminating:Wait':
      return judgeTermination(seen, instance.instanceId, member);
    default:
      return [];
  }
}

function judgeLaunch(seen: Observation, instanceId: string, member: MemberRecord | undefined): Repair[] {
  const complete = (result: 'CONTINUE' | 'ABANDON', state: string): Repair[] => [
    {
      kind: 'complete',
      instanceId,
      transition: 'launch',
      result,
      finding: `${state}, and its launch action still open`,
    },
  ];
  if (member === undefined) {
    return seen.meta.status === 'TEARDOWN'
      ? []
      : [{ kind: 'assign', instanceId, finding: 'launching without a row' }];
  }
  const hasWaited = seen.nowMs - member.stateMs > seen.timing.unassignedGraceMs;
  // Its own node is about to do it, and knows first; this is for one that cannot.
  if (member.state === 'ACTIVE')
    return hasWaited && isFresh(seen, member) ? complete('CONTINUE', 'ACTIVE') : [];
  if (isTerminal(member.state)) return complete('ABANDON', member.state);
  return member.state === 'PENDING' && hasWaited && seen.meta.status !== 'TEARDOWN'
    ? [{ kind: 'assign', instanceId, finding: 'waiting for a place' }]
    : [];
}

function judgeTermination(seen: Observation, instanceId: string, member: MemberRecord | undefined): Repair[] {
  if (member === undefined || isTerminal(member.state) || seen.meta.status === 'TEARDOWN') {
    const finding = `terminating as ${member?.state ?? 'no member'}, and its action still open`;
    const result = hasUndrainedFiles(seen, instanceId, member) ? 'ABANDON' : 'CONTINUE';
    return [{ kind: 'complete', instanceId, transition: 'terminate', result, finding }];
  }
  return member.state === 'ACTIVE'
    ? [{ kind: 'markLeaving', member, finding: 'terminating, and still ACTIVE' }]
    : [];
}

/** Nobody has taken its files, and its disk is there: a group that keeps such instances shall keep this one. */
function hasUndrainedFiles(
  { meta, ec2 }: Observation,
  instanceId: string,
  member: MemberRecord | undefined,
): boolean {
  return meta.status !== 'TEARDOWN' && member?.state === 'DEAD' && isOn(ec2.get(instanceId));
}

function isOn(ec2State: string | undefined): boolean {
  return ec2State !== undefined && RUNNING.has(ec2State);
}

/** What the rows say of machines that may be no more. `lifecycleState` is undefined: the group does not know it. */
function judgeMember(seen: Observation, member: MemberRecord, lifecycleState: string | undefined): Repair[] {
  const { ec2, meta, deaths, nowMs } = seen;
  const { instanceId } = member;
  const ec2State = ec2.get(instanceId);
  const isRunning = isOn(ec2State);
  if (isTerminal(member.state)) {
    // GONE has completed its own action and is on its way, unless nobody but itself had asked it to leave: after a
    // rebalance recommendation, say. The others still look fine to EC2.
    const isOnItsWay = member.state === 'GONE' && nowMs - member.stateMs <= seen.timing.goneToEndMs;
    const isStuck = lifecycleState === 'InService' && isRunning && !isOnItsWay;
    const finding = `${member.state}, and still in service`;
    return isStuck ? [{ kind: 'setUnhealthy', instanceId, finding }] : [];
  }
  const wasActive = member.state === 'ACTIVE' || member.state === 'LEAVING';
  const bury = (finding: string, as: 'FAILED' | 'DEAD' = wasActive ? 'DEAD' : 'FAILED'): Repair[] => [
    { kind: 'bury', member, as, finding },
  ];
  if (!isRunning && nowMs - lastSignMs(member) > seen.timing.unassignedGraceMs) {
    return bury(`machine ${ec2State ?? 'unknown to EC2'}`);
  }
  if (!wasActive) {
    const isOver = member.deadlineMs !== undefined && member.deadlineMs < nowMs;
    return isOver ? bury(`still ${member.state} at its deadline`) : [];
  }
  if (isFresh(seen, member)) return [];
  if (isDead(deaths, member) && member.ringId === meta.ringId) {
    const finding = 'declared dead by the ring, and silent';
    return [{ kind: 'bury', member, as: 'DEAD', finding, isForSilence: true }];
  }
  // One silent source alone never kills a member: it may be cut off from the table and serve, join or drain all the
  // same. Whether its machine waits for nobody is for its lifecycle hook to find, which hears of it on another way.
  return nowMs - lastSignMs(member) > seen.timing.silentToldMs
    ? [{ kind: 'tellSilent', member, finding: `${instanceId} is ${member.state} and silent` }]
    : [];
}

function isFresh({ nowMs, timing }: Observation, member: MemberRecord): boolean {
  return nowMs - lastSignMs(member) <= timing.heartbeatStaleMs;
}

function judgePosition(seen: Observation, claim: PositionClaim, member: MemberRecord | undefined): Repair[] {
  const isHeld =
    member !== undefined &&
    !isTerminal(member.state) &&
    member.position === claim.position &&
    member.ringId === claim.ringId;
  if (isHeld) return [];
  // Its row may be about to be written.
  const isYoung = seen.nowMs - claim.atMs <= seen.timing.positionOrphanMs;
  const isOver = member !== undefined && isTerminal(member.state);
  return isYoung && !isOver
    ? []
    : [{ kind: 'freePosition', claim, finding: 'a position without its member' }];
}
