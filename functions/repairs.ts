import { claimKeys, claimPlace, type PositionClaim } from '../domain/assignment.ts';
import { formatIdentifier } from '../domain/identifier.ts';
import { lastSignMs, type MemberRecord } from '../domain/member-record.ts';
import type { Repair } from '../domain/reconcile.ts';
import type { RingFault } from '../domain/ring-closure.ts';
import type { RingMeta } from '../domain/ring-meta.ts';
import type { AutoScalingGroup } from './adapters/auto-scaling.ts';
import type { Ec2Instances } from './adapters/ec2-instances.ts';
import { type ControlPlane, controlEvent, publishDecision, publishQuietly } from './control-plane.ts';
import { bury, freePosition, markLeaving } from './member-actions.ts';

export interface RepairDependencies extends ControlPlane {
  readonly group: Pick<AutoScalingGroup, 'describe' | 'completeLifecycleAction' | 'setUnhealthy'>;
  readonly instances: Ec2Instances;
  readonly launchHook: string;
  readonly terminateHook: string;
  readonly newRingId: () => string;
  readonly wait: (ms: number) => Promise<void>;
}

/** Carries one repair out. Two reconcilers at once do it once: every write is guarded, every call idempotent. */
export async function carryOut(
  dependencies: RepairDependencies,
  meta: RingMeta,
  repair: Repair,
): Promise<void> {
  const trigger = { cause: `reconciler: ${repair.finding}`, correlationId: correlationOf(repair) };
  switch (repair.kind) {
    case 'assign':
      return await assign(dependencies, repair.instanceId, trigger);
    case 'bury': {
      const { member, as, isForSilence = false } = repair;
      await bury(dependencies, member, as, { ...trigger, isForSilence });
      return;
    }
    case 'markLeaving': {
      await markLeaving(dependencies, repair.member, trigger);
      return;
    }
    case 'complete':
      return await complete(dependencies, meta, repair, trigger.cause);
    case 'setUnhealthy': {
      await dependencies.group.setUnhealthy(repair.instanceId);
      return await report(dependencies, meta, {
        ...trigger,
        instanceId: repair.instanceId,
        after: 'Unhealthy',
      });
    }
    case 'freePosition':
      return await free(dependencies, repair.claim);
    case 'tellSilent':
      return await tellSilent(dependencies, meta, { ...trigger, member: repair.member });
    case 'tellSplit':
      return await tellSplit(dependencies, meta, repair.fault);
  }
}

async function assign(
  dependencies: RepairDependencies,
  instanceId: string,
  trigger: { readonly cause: string; readonly correlationId: string },
): Promise<void> {
  const { store, stage, timing, now, newRingId } = dependencies;
  const found = await dependencies.instances.find(instanceId);
  // Not visible yet: the next minute will see it.
  if (found === undefined) return;
  const { privateIp, publicIp, availabilityZone } = found;
  const instance = { instanceId, privateIp, publicIp, availabilityZone };
  await claimPlace({ store, stage, timing, now, newRingId, instance, source: 'chordfs.control', ...trigger });
  await publishQuietly(dependencies, claimKeys(stage, instanceId));
}

async function complete(
  dependencies: RepairDependencies,
  meta: RingMeta,
  repair: Extract<Repair, { kind: 'complete' }>,
  cause: string,
): Promise<void> {
  const { instanceId, transition, result } = repair;
  const lifecycleHookName = transition === 'launch' ? dependencies.launchHook : dependencies.terminateHook;
  const outcome = await dependencies.group.completeLifecycleAction({
    instanceId,
    transition,
    lifecycleHookName,
    result,
  });
  if (outcome === 'notYet') return;
  await publishDecision(
    dependencies,
    controlEvent(dependencies, meta, {
      id: `completed-${transition}-${instanceId}`,
      detailType: 'Lifecycle Action Completed',
      instanceId,
      cause,
      correlationId: correlationOf(repair),
      before: { lifecycleState: transition === 'launch' ? 'Pending:Wait' : 'Terminating:Wait' },
      after: { lifecycleActionResult: result },
    }),
  );
}

/** At a time that the fault itself gives, so that it is told once, however many minutes find it. */
async function tellSplit(dependencies: RepairDependencies, meta: RingMeta, fault: RingFault): Promise<void> {
  const { kind, finding, sinceMs } = fault;
  const at = { stage: dependencies.stage, now: () => sinceMs + dependencies.timing.ringOpenMs };
  await publishDecision(
    dependencies,
    controlEvent(at, meta, {
      id: `${kind}-${sinceMs}`,
      detailType: 'Ring Split',
      cause: `reconciler: ${finding}`,
      correlationId: `${kind}-${sinceMs}`,
      before: {},
      after: {},
    }),
  );
}

/** As of the moment when it had been silent for too long, so that one silence is told once. */
async function tellSilent(
  dependencies: RepairDependencies,
  meta: RingMeta,
  silent: { readonly member: MemberRecord; readonly cause: string; readonly correlationId: string },
): Promise<void> {
  const { member, cause, correlationId } = silent;
  const { instanceId, state } = member;
  const lastHeardMs = lastSignMs(member);
  const at = { stage: dependencies.stage, now: () => lastHeardMs + dependencies.timing.silentToldMs };
  await publishDecision(
    dependencies,
    controlEvent(at, meta, {
      id: `silent-${instanceId}-${lastHeardMs}`,
      detailType: 'Member Silent',
      instanceId,
      cause,
      correlationId,
      before: { state, lastHeard: new Date(lastHeardMs).toISOString() },
      after: { state },
    }),
  );
}

async function free(dependencies: RepairDependencies, claim: PositionClaim): Promise<void> {
  await freePosition(dependencies, claim);
}

async function report(
  dependencies: RepairDependencies,
  meta: RingMeta,
  facts: {
    readonly instanceId: string;
    readonly cause: string;
    readonly correlationId: string;
    readonly after: string;
  },
): Promise<void> {
  const { instanceId, cause, correlationId, after } = facts;
  await publishDecision(
    dependencies,
    controlEvent(dependencies, meta, {
      id: `drift-${correlationId}`,
      detailType: 'Drift Repaired',
      instanceId,
      cause,
      correlationId,
      before: { health: 'Healthy' },
      after: { health: after },
    }),
  );
}

/** One finding about one machine is one story, however often it is repaired. */
function correlationOf(repair: Repair): string {
  switch (repair.kind) {
    case 'bury':
    case 'markLeaving':
    case 'tellSilent':
      return `${repair.kind}-${repair.member.instanceId}`;
    case 'tellSplit':
      return `${repair.fault.kind}-${repair.fault.sinceMs}`;
    case 'freePosition':
      return `${repair.kind}-${formatIdentifier(repair.claim.position)}`;
    default:
      return `${repair.kind}-${repair.instanceId}`;
  }
}
