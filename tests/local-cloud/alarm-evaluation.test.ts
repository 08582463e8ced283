import { describe, expect, test } from 'vitest';
import {
  type AlarmState,
  evaluateAlarm,
  type MissingDataTreatment,
} from '../../local/cloud-watch/alarm-evaluation.ts';

const TREATMENTS: readonly MissingDataTreatment[] = ['missing', 'ignore', 'breaching', 'notBreaching'];
/** What `ignore` keeps. */
const CURRENT: AlarmState = 'INSUFFICIENT_DATA';

function evaluate(points: string, m: number, treatMissingData: MissingDataTreatment): AlarmState {
  const range = points.split(' ').map((point) => (point === '-' ? undefined : point === 'X' ? 90 : 0));
  const isBreaching = (value: number): boolean => value > 70;
  return evaluateAlarm(
    { isBreaching, evaluationPeriods: 3, datapointsToAlarm: m, treatMissingData },
    range,
    CURRENT,
  );
}

/** The two tables of CloudWatch's user guide, "How alarm state is evaluated when data is missing". */
describe("CloudWatch's own table", () => {
  test.each([
    ['0 - X - X', ['OK', 'OK', 'OK', 'OK']],
    ['0 - - - -', ['OK', 'OK', 'OK', 'OK']],
    ['- - - - -', ['INSUFFICIENT_DATA', CURRENT, 'ALARM', 'OK']],
    ['0 X X - X', ['ALARM', 'ALARM', 'ALARM', 'ALARM']],
    ['- - X - -', ['ALARM', CURRENT, 'ALARM', 'OK']],
  ])('for 3 of 3 datapoints: %s', (points, expected) => {
    expect(TREATMENTS.map((treatment) => evaluate(points, 3, treatment))).toEqual(expected);
  });

  test.each([
    ['0 - X - X', ['ALARM', 'ALARM', 'ALARM', 'ALARM']],
    ['0 0 X 0 X', ['ALARM', 'ALARM', 'ALARM', 'ALARM']],
    ['0 - X - -', ['OK', 'OK', 'ALARM', 'OK']],
    ['- - - - 0', ['OK', 'OK', 'ALARM', 'OK']],
    ['- - - X -', ['ALARM', CURRENT, 'ALARM', 'OK']],
  ])('for 2 of 3 datapoints: %s', (points, expected) => {
    expect(TREATMENTS.map((treatment) => evaluate(points, 2, treatment))).toEqual(expected);
  });
});
