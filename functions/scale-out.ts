import { parseMember } from '../domain/member-record.ts';
import { metaKey, parseMeta, type RingMeta, updateMeta } from '../domain/ring-meta.ts';
import { decideScaleOut, type GroupView, type SkipReason } from '../domain/scaling.ts';
import { NODE_PREFIX, ringPartition } from '../domain/table-writes.ts';
import type { AutoScalingGroup } from './adapters/auto-scaling.ts';
import { type ControlPlane, controlEvent, publishDecision, publishQuietly } from './control-plane.ts';

export interface ScalingDependencies extends ControlPlane {
  readonly group: Pick<AutoScalingGroup, 'describe' | 'setDesiredCapacity'>;
  readonly thresholdPercent: number;
}

/**
 * One scaling decision while the disk alarm is in ALARM. Intent first: META gets the target under a condition that
 * only one of several racing invocations meets; then the group is told; then META says it was told. Whoever dies in
 * between leaves `scalePending`, which the reconciler finishes: the target is absolute, so telling twice is harmless.
 */
export async function scaleOut(
  dependencies: ScalingDependencies,
  trigger: { readonly scaleKey: string; readonly cause: string },
): Promise<void> {
  const { stage, store, now, thresholdPercent } = dependencies;
  const { scaleKey, cause } = trigger;
  const meta = parseMeta(await store.get(metaKey(stage)));
  const rows = await store.list(ringPartition(stage), NODE_PREFIX);
  const members = rows.flatMap((row) => parseMember(row) ?? []);
  const group = await dependencies.group.describe();
  const decision = decideScaleOut({ meta, members, group, scaleKey, thresholdPercent, nowMs: now() });
  if (decision.kind === 'skip') {
    await logSkip(dependencies, { meta, group, reason: decision.reason, ...trigger });
    return;
  }
  const isMine = await store.write(
    updateMeta({
      stage,
      set: {
        scaleTarget: decision.desiredCapacity,
        scaleKey,
        scalePending: true,
        cooldownUntilMs: now() + dependencies.timing.scaleCooldownMs,
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
        cause: `${cause}: ${decision.reason}`,
        correlationId: scaleKey,
        before: { desiredCapacity: group.desiredCapacity },
        after: { desiredCapacity: decision.desiredCapacity },
      }),
    }),
  );
  if (!isMine) return;
  await tellGroup(dependencies, decision.desiredCapacity, scaleKey);
  await publishQuietly(dependencies, [metaKey(stage)]);
}

/** Carries out a decision that META holds; also the reconciler's repair. */
export async function tellGroup(
  { stage, store, group }: ScalingDependencies,
  desiredCapacity: number,
  scaleKey: string,
): Promise<void> {
  await group.setDesiredCapacity(desiredCapacity);
  await store.write(
    updateMeta({
      stage,
      set: { scalePending: false },
      conditions: [{ attribute: 'scaleKey', is: '=', value: scaleKey }],
    }),
  );
}

/** Reasons a person should see; the others are the ordinary course of things. */
const WORTH_SAYING: ReadonlySet<SkipReason> = new Set(['cooldown', 'joining', 'max']);

/** Says why nothing was done: at once for a new reason, then rarely, because the alarm asks every minute. */
async function logSkip(
  dependencies: ScalingDependencies,
  skip: {
    readonly meta: RingMeta;
    readonly group: GroupView;
    readonly reason: SkipReason;
    readonly scaleKey: string;
    readonly cause: string;
  },
): Promise<void> {
  const { meta, group, reason, scaleKey, cause } = skip;
  const { stage, store, now, timing } = dependencies;
  const nowMs = now();
  if (!WORTH_SAYING.has(reason)) return;
  if (meta.skipReason === reason && nowMs - meta.skipLoggedMs < timing.skipLogAgainMs) return;
  const isFirst = await store.write(
    updateMeta({
      stage,
      set: { skipReason: reason, skipLoggedMs: nowMs },
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
      id: `skip-${meta.epoch}-${reason}-${scaleKey}`,
      detailType: 'Scale Out Skipped',
      cause: `${reason}: ${cause}`,
      correlationId: scaleKey,
      before: { desiredCapacity: group.desiredCapacity, maxSize: group.maxSize },
      after: { desiredCapacity: group.desiredCapacity, reason },
    }),
  );
}
