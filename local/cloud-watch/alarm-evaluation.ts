export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';
export type MissingDataTreatment = 'missing' | 'ignore' | 'breaching' | 'notBreaching';

interface EvaluationRule {
  readonly isBreaching: (value: number) => boolean;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly treatMissingData: MissingDataTreatment;
}

/**
 * Periods that CloudWatch looks back beyond the evaluation periods, so that one late datapoint is not a missing one.
 * AWS does not say how many; its examples show two.
 */
export const EXTRA_PERIODS = 2;

/**
 * The state an alarm is in after an evaluation, by the m-of-n rules of CloudWatch's user guide ("Configuring how
 * alarms treat missing data").
 *
 * @param range One value per period, oldest first, undefined where there was no sample; at most
 *   `evaluationPeriods + EXTRA_PERIODS` long.
 */
export function evaluateAlarm(
  rule: EvaluationRule,
  range: readonly (number | undefined)[],
  current: AlarmState,
): AlarmState {
  const { evaluationPeriods, datapointsToAlarm, treatMissingData, isBreaching } = rule;
  const real = range.filter((value) => value !== undefined);
  const recent = real.slice(-evaluationPeriods);
  const breachingCount = recent.filter(isBreaching).length;
  if (breachingCount >= datapointsToAlarm) return 'ALARM';
  // Enough real datapoints: how missing ones are treated does not matter.
  if (real.length >= evaluationPeriods) return 'OK';

  const missingCount = evaluationPeriods - real.length;
  if (treatMissingData === 'notBreaching') return 'OK';
  if (treatMissingData === 'breaching') {
    return breachingCount + missingCount >= datapointsToAlarm ? 'ALARM' : 'OK';
  }
  if (breachingCount < real.length) return 'OK';
  if (treatMissingData === 'ignore') return current;
  if (real.length === 0) return 'INSUFFICIENT_DATA';
  // Every real datapoint is breaching and the rest is silence: an alarm once the oldest of them is old enough.
  const oldest = range.findIndex((value) => value !== undefined);
  return range.length - oldest >= datapointsToAlarm ? 'ALARM' : 'OK';
}
