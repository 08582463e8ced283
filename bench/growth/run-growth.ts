import { GrowingRing, type GrowthOptions } from './growing-ring.ts';

/** One decision of the alarm, and what came of it. */
export interface GrowthStep {
  readonly members: number;
  readonly added: number;
  readonly utilisation: number;
  readonly fullestBefore: number;
  readonly fullestAfter: number;
  readonly why: string;
}

export interface GrowthResult {
  readonly steps: readonly GrowthStep[];
  /** Largest over mean of stored bytes when the last newcomer has joined. */
  readonly maxToMean: number;
  readonly primaryBytes: number;
}

/** Fills a ring until `added` nodes have been added by the alarm. */
export function runGrowth(options: GrowthOptions, added: number): GrowthResult {
  const ring = new GrowingRing(options);
  const steps: GrowthStep[] = [];
  while (ring.memberCount - 1 < added) {
    ring.fillUntilAlarm();
    const members = ring.memberCount;
    const before = { utilisation: ring.utilisation(), fullestBefore: ring.fullestShare() };
    const decision = decide(ring, options);
    ring.grow(decision.count);
    steps.push({
      members,
      added: decision.count,
      ...before,
      fullestAfter: ring.fullestShare(),
      why: decision.why,
    });
  }
  return { steps, maxToMean: ring.maxToMean(), primaryBytes: ring.files.totalBytes };
}

/** Hashed positions come with the course's rule: one node for each alarm. */
function decide(
  ring: GrowingRing,
  { policy }: GrowthOptions,
): { readonly count: number; readonly why: string } {
  if (policy === 'hash') return { count: 1, why: 'one node for each alarm' };
  const decision = ring.decide();
  if (decision.kind === 'skip')
    throw new Error(`an alarm without a decision: ${decision.reason}: ${decision.why}`);
  return { count: decision.desiredCapacity - ring.memberCount, why: decision.why };
}

export function meanUtilisation(steps: readonly GrowthStep[]): number {
  return steps.reduce((sum, { utilisation }) => sum + utilisation, 0) / steps.length;
}

/** Alarms whose newcomers did not take anything off the fullest volume. */
export function unrelieved(steps: readonly GrowthStep[]): readonly GrowthStep[] {
  return steps.filter(({ fullestBefore, fullestAfter }) => fullestAfter >= fullestBefore);
}
