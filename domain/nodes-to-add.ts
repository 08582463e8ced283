import { REPLICA_COUNT } from './file-record.ts';
import { type Fullness, roundPercent } from './fullness.ts';
import { fullestShare, planGrowth } from './resize-plan.ts';

export interface GrowthSize {
  readonly count: number;
  /** How full the fullest will be; undefined when nobody has reported where its bytes are. */
  readonly expectedPercent: number | undefined;
  readonly why: string;
}

/**
 * The fewest nodes that bring the fullest member below the threshold, by the places they would really get. At least one:
 * the alarm does not ring for nothing. When no size up to MaxSize is enough, all that MaxSize allows: they still take
 * what comes. No headroom on top: the decision is made anew every minute, and a node too many costs money for longer.
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
  const limit = thresholdPercent / 100 / overhead;
  const percents = planGrowth(load, { limit, most: maxSize - desiredCapacity }).map(
    (share) => 100 * share * overhead,
  );
  const last = percents.at(-1);
  return {
    count: Math.max(1, percents.length),
    expectedPercent: last === undefined ? undefined : roundPercent(last),
    why: explain({ percents, thresholdPercent, members: load.members.length, maxSize }),
  };
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
