import { parseMember } from '../domain/member-record.ts';
import { metaKey, parseMeta, type RingMeta, updateMeta } from '../domain/ring-meta.ts';
import { decideScaleIn, type ScaleInDecision } from '../domain/scale-in.ts';
import { type Attribute, type Condition, NODE_PREFIX, ringPartition } from '../domain/table-writes.ts';
import type { AutoScalingGroup } from './adapters/auto-scaling.ts';
import { type ControlPlane, controlEvent, publishQuietly } from './control-plane.ts';

export interface ScaleInDependencies extends ControlPlane {
  readonly group: Pick<AutoScalingGroup, 'describe' | 'terminate'>;
  readonly thresholdPercent: number;
}

/**
 * One look at whether the group may shrink, every minute. META remembers since when one member less would do; once
 * that has lasted, the victim is written down first and the group told second, as with growth. Taking an instance out
 * is not absolute, so it is repeated only while the group is exactly as it was when that was decided.
 */
export async function scaleIn(dependencies: ScaleInDependencies, isAlarming: boolean): Promise<void> {
  const { stage, store, now, thresholdPercent, timing } = dependencies;
  const meta = parseMeta(await store.get(metaKey(stage)));
  const rows = await store.list(ringPartition(stage), NODE_PREFIX);
  const members = rows.flatMap((row) => parseMember(row) ?? []);
  const group = await dependencies.group.describe();
  const decision = decideScaleIn({ meta, members, group, thresholdPercent, timing, nowMs: now() });
  if (isAlarming || decision.kind === 'stay') {
    if (meta.lowWaterSinceMs !== 0) await change(dependencies, meta, { lowWaterSinceMs: 0 });
    return;
  }
  if (meta.lowWaterSinceMs === 0) {
    await change(dependencies, meta, { lowWaterSinceMs: now() });
    return;
  }
  if (now() - meta.lowWaterSinceMs < timing.lowWaterMs) return;
  if (!(await writeIntent(dependencies, meta, { decision, desiredCapacity: group.desiredCapacity }))) return;
  await takeOut(dependencies, decision.victim.instanceId);
  await publishQuietly(dependencies, [metaKey(stage)]);
}

/** What a crashed invocation wrote down and perhaps did not do. */
export async function finishScaleIn(dependencies: ScaleInDependencies): Promise<void> {
  const { stage, store, timing, now } = dependencies;
  const meta = parseMeta(await store.get(metaKey(stage)));
  const { scaleInVictim: victim, scaleInFrom } = meta;
  if (victim === '' || now() - meta.scaleDecidedMs < timing.outboxGraceMs) return;
  const { desiredCapacity, minSize, instances } = await dependencies.group.describe();
  const state = instances.find(({ instanceId }) => instanceId === victim)?.lifecycleState;
  const isAsDecided = desiredCapacity === scaleInFrom && desiredCapacity > minSize;
  if (state === 'InService' && isAsDecided) await takeOut(dependencies, victim);
  else await forget(dependencies, victim);
}

async function takeOut(dependencies: ScaleInDependencies, victim: string): Promise<void> {
  await dependencies.group.terminate(victim);
  await forget(dependencies, victim);
}

async function forget({ stage, store }: ScaleInDependencies, victim: string): Promise<void> {
  const conditions: [Condition] = [{ attribute: 'scaleInVictim', is: '=', value: victim }];
  await store.write(updateMeta({ stage, set: { scaleInVictim: '' }, conditions }));
}

async function writeIntent(
  dependencies: ScaleInDependencies,
  meta: RingMeta,
  made: { readonly decision: Extract<ScaleInDecision, { kind: 'shrink' }>; readonly desiredCapacity: number },
): Promise<boolean> {
  const { now } = dependencies;
  const { decision, desiredCapacity } = made;
  const { instanceId } = decision.victim;
  const { fullestPercent, expectedPercent } = decision;
  return await change(
    dependencies,
    meta,
    { scaleInVictim: instanceId, scaleInFrom: desiredCapacity, scaleDecidedMs: now(), lowWaterSinceMs: 0 },
    controlEvent(dependencies, meta, {
      id: `scale-in-${meta.epoch}-${instanceId}`,
      detailType: 'Scale In Requested',
      instanceId,
      cause: `low since ${new Date(meta.lowWaterSinceMs).toISOString()}: ${decision.why}`,
      correlationId: `low-${meta.lowWaterSinceMs}`,
      before: { desiredCapacity, fullestPercent },
      after: { desiredCapacity: desiredCapacity - 1, fullestPercent: expectedPercent },
    }),
  );
}

/** Refused when another invocation has changed the same thing since META was read. */
function change(
  { stage, store }: ScaleInDependencies,
  meta: RingMeta,
  set: Readonly<Record<string, Attribute>>,
  event?: ReturnType<typeof controlEvent>,
): Promise<boolean> {
  const conditions: [Condition, ...Condition[]] = [
    { attribute: 'epoch', is: '=', value: meta.epoch },
    { attribute: 'status', is: '=', value: meta.status },
    unchanged('lowWaterSinceMs', meta.lowWaterSinceMs),
    unchanged('scaleInVictim', meta.scaleInVictim),
    unchanged('scaleKey', meta.scaleKey),
  ];
  return store.write(updateMeta({ stage, set, conditions, event }));
}

/** As it was read; an absent attribute reads as empty. */
function unchanged(attribute: string, value: string | number): Condition {
  const same: Condition = { attribute, is: '=', value };
  return value === '' || value === 0 ? { any: [[{ attribute, is: 'absent' }], [same]] } : same;
}
