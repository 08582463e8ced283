import type { GroupView } from '../domain/group-view.ts';
import { parseMember } from '../domain/member-record.ts';
import { metaKey, parseMeta, type RingMeta, updateMeta } from '../domain/ring-meta.ts';
import { decideScaleOut, type ScaleDecision, type SkipReason } from '../domain/scaling.ts';
import { NODE_PREFIX, ringPartition } from '../domain/table-writes.ts';
import type { AutoScalingGroup } from './adapters/auto-scaling.ts';
import { type ControlPlane, controlEvent, publishDecision, publishQuietly } from './control-plane.ts';

export interface ScalingDependencies extends ControlPlane {
  readonly group: Pick<AutoScalingGroup, 'describe' | 'setDesiredCapacity'>;
  readonly thresholdPercent: number;
}

/** Why the question is asked now. */
export interface ScaleTrigger {
  /** The alarm's own transition: what is said of it once need not be said again every minute. */
  readonly alarmKey: string;
  /** This very look at it; the same key never decides twice. */
  readonly scaleKey: string;
  readonly cause: string;
}

/**
 * One scaling decision while the disk alarm is in ALARM. Intent first: META gets the target under a condition that
 * only one of several racing invocations meets; then the group is told; then META says it was told. Whoever dies in
 * between leaves `scalePending`, which the reconciler finishes: the target is absolute, so telling twice is harmless.
 */
export async function scaleOut(dependencies: ScalingDependencies, trigger: ScaleTrigger): Promise<void> {
  const { stage, store, now, thresholdPercent, timing } = dependencies;
  const meta = parseMeta(await store.get(metaKey(stage)));
  const rows = await store.list(ringPartition(stage), NODE_PREFIX);
  const members = rows.flatMap((row) => parseMember(row) ?? []);
  const group = await dependencies.group.describe();
  const { scaleKey } = trigger;
  const decision = decideScaleOut({ meta, members, group, scaleKey, thresholdPercent, timing, nowMs: now() });
  if (decision.kind === 'skip') {
    await logSkip(dependencies, { meta, group, decision, trigger });
    return;
  }
  if (!(await writeIntent(dependencies, { meta, group, decision, trigger }))) return;
  await tellGroup(dependencies, decision.desiredCapacity, scaleKey);
  await publishQuietly(dependencies, [metaKey(stage)]);
}

/** Writes the decision down. False: another invocation was faster. */
async function writeIntent(
  dependencies: ScalingDependencies,
  made: {
    readonly meta: RingMeta;
    readonly group: GroupView;
    readonly decision: Extract<ScaleDecision, { kind: 'scaleOut' }>;
    readonly trigger: ScaleTrigger;
  },
): Promise<boolean> {
  const { stage, store, now } = dependencies;
  const { meta, group, decision, trigger } = made;
  const { scaleKey, cause } = trigger;
  const { desiredCapacity, fullestPercent, expectedPercent } = decision;
  return await store.write(
    updateMeta({
      stage,
      set: {
        scaleTarget: desiredCapacity,
        scaleDecidedMs: now(),
        scaleKey,
        scalePending: true,
        skipReason: '',
        skipLoggedMs: 0,
      },
      conditions: [
        { attribute: 'epoch', is: '=', value: meta.epoch },
        { attribute: 'status', is: '=', value: 'ACTIVE' },
        {
          any: [
            [{ attribute: 'scaleKey', is: 'absent' }],
            [{ attribute: 'scaleKey', is: '=', value: meta.scaleKey }],
          ],
        },
      ],
      event: controlEvent(dependencies, meta, {
        id: `scale-out-${meta.epoch}-${scaleKey}`,
        detailType: 'Scale Out Requested',
        cause: `${cause}: ${decision.why}`,
        correlationId: scaleKey,
        before: { desiredCapacity: group.desiredCapacity, fullestPercent },
        after: {
          desiredCapacity,
          ...(expectedPercent === undefined ? {} : { fullestPercent: expectedPercent }),
        },
      }),
    }),
  );
}

/**
 * Carries out a decision that META holds; also the reconciler's repair. Somebody may have asked for more since the
 * decision, or lowered MaxSize: the target takes neither back.
 */
export async function tellGroup(
  { stage, store, group }: ScalingDependencies,
  target: number,
  scaleKey: string,
): Promise<void> {
  const { desiredCapacity, maxSize } = await group.describe();
  const wanted = Math.min(target, maxSize);
  if (wanted > desiredCapacity) await group.setDesiredCapacity(wanted);
  await store.write(
    updateMeta({
      stage,
      set: { scalePending: false },
      conditions: [{ attribute: 'scaleKey', is: '=', value: scaleKey }],
    }),
  );
}

/** The others are no decision about this ring: nothing a person has asked for was left undone. */
const WORTH_SAYING: ReadonlySet<SkipReason> = new Set(['telling', 'joining', 'cooldown', 'bytesFit', 'max']);

/** Says why nothing was done: at once for a new reason or a new alarm, then rarely: the alarm asks every minute. */
async function logSkip(
  dependencies: ScalingDependencies,
  skip: {
    readonly meta: RingMeta;
    readonly group: GroupView;
    readonly decision: Extract<ScaleDecision, { kind: 'skip' }>;
    readonly trigger: ScaleTrigger;
  },
): Promise<void> {
  const { meta, group, decision, trigger } = skip;
  const { reason, why } = decision;
  const { stage, store, now, timing } = dependencies;
  const nowMs = now();
  const said = `${reason} ${trigger.alarmKey}`;
  if (!WORTH_SAYING.has(reason)) return;
  if (meta.skipReason === said && nowMs - meta.skipLoggedMs < timing.skipLogAgainMs) return;
  const isFirst = await store.write(
    updateMeta({
      stage,
      set: { skipReason: said, skipLoggedMs: nowMs },
      conditions: [
        { attribute: 'epoch', is: '=', value: meta.epoch },
        {
          any: [
            [{ attribute: 'skipLoggedMs', is: 'absent' }],
            [{ attribute: 'skipLoggedMs', is: '=', value: meta.skipLoggedMs }],
          ],
        },
      ],
    }),
  );
  if (!isFirst) return;
  await publishDecision(
    dependencies,
    controlEvent(dependencies, meta, {
      id: `skip-${meta.epoch}-${reason}-${trigger.scaleKey}`,
      detailType: 'Scale Out Skipped',
      cause: `${reason}: ${trigger.cause}: ${why}`,
      correlationId: trigger.scaleKey,
      before: { desiredCapacity: group.desiredCapacity, maxSize: group.maxSize },
      after: { desiredCapacity: group.desiredCapacity, maxSize: group.maxSize, reason },
    }),
  );
}
