import { REPLICA_COUNT } from './file-record.ts';
import { type Fullness, roundPercent } from './fullness.ts';
import { fullestShare, planGrowth } from './resize-plan.ts';

/**
 * Newcomers shall leave this share of the threshold free, for data goes on coming: without it the alarm would be back
 * before it has ended. Raised: fewer, larger steps. It is never worth more than one node.
 */
const HEADROOM_SHARE = 0.1;

export interface GrowthSize {
  readonly count: number;
  /** How full the fullest will be; undefined when nobody has reported where its bytes are. */
  readonly expectedPercent: number | undefined;
  readonly why: string;
}

/**
 * How many nodes bring the fullest member below the threshold, by the places they would really get: the fewest, or one
 * more where that buys headroom. At least one: the alarm does not ring for nothing. When no size up to MaxSize is
 * enough, all that MaxSize allows: they still take what comes.
 */
export function nodesToAdd(
  { load, overhead }: Pick<Fullness, 'load' | 'overhead'>,
  group: { readonly thresholdPercent: number; readonly desiredCapacity: number; readonly maxSize: number },
): GrowthSize {
  const { thresholdPercent, desiredCapacity, maxSize } = group;
  if (fullestShare(load) === 0) {
    return {
      count: 1,
      expectedPercent: undefined,
      why: '1 more, for nobody has reported where its bytes are',
    };
  }
  const limit = ((1 - HEADROOM_SHARE) * thresholdPercent) / 100 / overhead;
  const percents = planGrowth(load, { limit, most: maxSize - desiredCapacity }).map(
    (share) => 100 * share * overhead,
  );
  const needed = percents.findIndex((percent) => percent < thresholdPercent) + 1;
  const count = Math.max(1, needed === 0 ? percents.length : Math.min(percents.length, needed + 1));
  const expectedPercent =
    percents[count - 1] === undefined ? undefined : roundPercent(percents[count - 1] ?? 0);
  const why = explain({
    percents: percents.slice(0, count),
    thresholdPercent,
    members: load.members.length,
    maxSize,
  });
  return { count, expectedPercent, why };
}

function explain(plan: {
  readonly percents: readonly number[];
  readonly thresholdPercent: number;
  readonly members: number;
  readonly maxSize: number;
}): string {
  const { percents, thresholdPercent, members, maxSize } = plan;
  const count = percents.length;
  const [last = 0, before] = [percents.at(-1), percents.at(-2)];
  const useless = Math.min(count, REPLICA_COUNT - members);
  const sentences = [
    ...(useless > 0
      ? [
          `${useless} more would relieve nobody, because up to ${REPLICA_COUNT} members everybody keeps everything`,
        ]
      : []),
    ...(before !== undefined && count - 1 > useless
      ? [`with ${count - 1} more the fullest would store ${roundPercent(before)} %`]
      : []),
    last < thresholdPercent
      ? `with ${count} more it will store ${roundPercent(last)} %`
      : `MaxSize ${maxSize} allows ${count} more, and with them it will still store ${roundPercent(last)} %`,
  ];
  return sentences.join('; ');
}
