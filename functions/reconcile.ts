import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EC2Client } from '@aws-sdk/client-ec2';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { parsePosition } from '../domain/assignment.ts';
import { isTerminal, memberKey, parseMember } from '../domain/member-record.ts';
import { decideRepairs, type Observation } from '../domain/reconcile.ts';
import { metaKey, parseMeta } from '../domain/ring-meta.ts';
import { deathsKey, parseDeaths } from '../domain/ring-registry.ts';
import { isScalingEvent, publishEvent } from '../domain/scaling-log.ts';
import { logPartition, NODE_PREFIX, POSITION_PREFIX, ringPartition } from '../domain/table-writes.ts';
import { autoScalingGroup } from './adapters/auto-scaling.ts';
import { type DiskAlarm, diskAlarm } from './adapters/disk-alarm.ts';
import { dynamodbItemStore } from './adapters/dynamodb-item-store.ts';
import { ec2Instances } from './adapters/ec2-instances.ts';
import { eventBus } from './adapters/event-bus.ts';
import { type Metrics, stageMetrics } from './adapters/metrics.ts';
import { publishQuietly } from './control-plane.ts';
import { type FunctionEnvironment, readEnvironment } from './environment.ts';
import { type ScheduledEvent, scheduledEvent } from './events.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { log } from './log.ts';
import { carryOut, type RepairDependencies } from './repairs.ts';
import { finishScaleIn, type ScaleInDependencies, scaleIn } from './scale-in.ts';
import { type ScalingDependencies, scaleOut, tellGroup } from './scale-out.ts';

export interface Dependencies extends RepairDependencies, ScalingDependencies, ScaleInDependencies {
  readonly group: RepairDependencies['group'] & ScalingDependencies['group'] & ScaleInDependencies['group'];
  readonly metrics: Metrics;
  /** Opt-in: a group that shrinks by itself surprises whoever did not ask for it. */
  readonly isScaleInOn: boolean;
  readonly alarm: DiskAlarm;
}

/**
 * Every minute: compares what the group, EC2 and the table say, and repairs what drifted apart; finishes what a
 * crashed function began; goes on deciding while the disk alarm lasts. One repair that fails does not stop the rest:
 * the minute after tries again.
 */
export function reconcile(dependencies: Dependencies) {
  return async (_event: ScheduledEvent): Promise<void> => {
    const steps = [repairDrift, finishScaleOut, finishScaleIn, decideAgain, decideShrink, sendOutbox];
    const failures: unknown[] = [];
    for (const step of steps) await step(dependencies).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
  };
}

async function repairDrift(dependencies: Dependencies): Promise<void> {
  const seen = await observe(dependencies);
  const repairs = decideRepairs(seen);
  const failures: unknown[] = [];
  // Said before anything is repaired: what the next repair mends is gone from the next minute's count.
  await dependencies.metrics.putDrift(repairs.length).catch((error: unknown) => failures.push(error));
  for (const repair of repairs) {
    await carryOut(dependencies, seen.meta, repair).catch((error: unknown) => failures.push(error));
  }
  if (repairs.length > 0) {
    log('info', 'drift found', { findings: repairs.map(({ kind, finding }) => `${kind}: ${finding}`) });
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join('; '));
}

async function observe(dependencies: Dependencies): Promise<Observation> {
  const { stage, store, timing, now, group, instances } = dependencies;
  const pk = ringPartition(stage);
  const meta = parseMeta(await store.get(metaKey(stage)));
  const [rows, positions, deaths, view] = await Promise.all([
    store.list(pk, NODE_PREFIX),
    store.list(pk, POSITION_PREFIX),
    store.get(deathsKey(stage, meta.ringId)),
    group.describe(),
  ]);
  const members = rows.flatMap((row) => parseMember(row) ?? []);
  const ids = new Set([
    ...view.instances.map(({ instanceId }) => instanceId),
    ...members.filter(({ state }) => !isTerminal(state)).map(({ instanceId }) => instanceId),
  ]);
  const ec2 = ids.size === 0 ? new Map<string, string>() : await instances.states([...ids]);
  return {
    meta,
    members,
    positions: positions.flatMap(parsePosition),
    deaths: parseDeaths(deaths),
    instances: view.instances,
    ec2,
    nowMs: now(),
    timing,
  };
}

/** A decision that was written down but perhaps never told to the group: its target is absolute, so tell it again. */
async function finishScaleOut(dependencies: Dependencies): Promise<void> {
  const { stage, store, timing, now } = dependencies;
  const meta = parseMeta(await store.get(metaKey(stage)));
  if (!meta.scalePending || meta.status !== 'ACTIVE' || now() - meta.scaleDecidedMs < timing.outboxGraceMs)
    return;
  await tellGroup(dependencies, meta.scaleTarget, meta.scaleKey);
}

/** Alarms tell of transitions only: while one lasts, the decision is made anew every minute. */
async function decideAgain(dependencies: Dependencies): Promise<void> {
  const { isAlarming, sinceMs } = await dependencies.alarm.state();
  if (!isAlarming) return;
  const minute = Math.floor(dependencies.now() / dependencies.timing.decideAgainMs);
  await scaleOut(dependencies, {
    alarmKey: `alarm-${sinceMs}`,
    scaleKey: `alarm-${sinceMs}-${minute}`,
    cause: `disk alarm in ALARM since ${new Date(sinceMs).toISOString()}`,
  });
}

async function decideShrink(dependencies: Dependencies): Promise<void> {
  if (!dependencies.isScaleInOn) return;
  const { isAlarming } = await dependencies.alarm.state();
  await scaleIn(dependencies, isAlarming);
}

/** Events that were decided and not sent: a crash, or a bus that was away. */
async function sendOutbox(dependencies: Dependencies): Promise<void> {
  const { stage, store, timing, now } = dependencies;
  const rows = await store.list(ringPartition(stage), NODE_PREFIX);
  const full = rows.flatMap((row) => parseMember(row) ?? []).filter(({ outbox }) => outbox);
  await publishQuietly(dependencies, [
    metaKey(stage),
    ...full.map(({ instanceId }) => memberKey(stage, instanceId)),
  ]);
  // Today's and, around midnight, yesterday's rows; older ones were seen by earlier minutes.
  const days = new Set([now(), now() - 3_600_000].map((ms) => new Date(ms).toISOString().slice(0, 10)));
  for (const day of days) {
    for (const row of await store.list(logPartition(stage), day)) {
      const { event, published } = row;
      if (published !== false || !isScalingEvent(event) || now() - event.atMs < timing.outboxGraceMs)
        continue;
      await publishEvent(dependencies, event);
    }
  }
}

export function dependencies(environment: FunctionEnvironment): Dependencies {
  const cloudWatch = new CloudWatchClient();
  return {
    stage: environment.stage,
    timing: environment.timing,
    thresholdPercent: environment.thresholdPercent,
    launchHook: environment.launchHook,
    terminateHook: environment.terminateHook,
    store: dynamodbItemStore(new DynamoDBClient(), environment.tableName),
    bus: eventBus(new EventBridgeClient(), environment.busName),
    group: autoScalingGroup(new AutoScalingClient(), environment.autoScalingGroupName),
    instances: ec2Instances(new EC2Client()),
    alarm: diskAlarm(cloudWatch, environment.diskAlarmName),
    metrics: stageMetrics(cloudWatch, environment),
    isScaleInOn: environment.isScaleInOn,
    now: Date.now,
    newRingId: randomUUID,
    wait,
  };
}

export const handler = lambdaHandler(scheduledEvent, () =>
  reconcile(dependencies(readEnvironment(process.env))),
);
