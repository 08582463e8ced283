import { AwsError } from '../service.ts';

/** When a scheduled rule fires next, in cloud ms from `nowMs` (ms since the epoch). */
export type Schedule = (nowMs: number) => number;

const UNIT_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
/** A cron expression that matches no minute within this time never fires (31 February). */
const SEARCH_MS = 4 * 366 * 86_400_000;
const MONTHS = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ');
const WEEK_DAYS = 'SUN MON TUE WED THU FRI SAT'.split(' ');

function invalid(): AwsError {
  return new AwsError('ValidationException', 'Parameter ScheduleExpression is not valid.');
}

function rate(expression: string): Schedule | undefined {
  const [, count, unit, plural] = /^rate\((\d+) (minute|hour|day)(s?)\)$/.exec(expression) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  // EventBridge insists on the grammar: rate(1 minute), rate(5 minutes).
  if (Number(count) < 1 || (Number(count) === 1) !== (plural === '')) throw invalid();
  const everyMs = Number(count) * (UNIT_MS[unit] ?? 0);
  return () => everyMs;
}

/** The set of values that one field of a cron expression allows. */
function cronField(field: string, low: number, high: number, names: readonly string[], nameBase: number) {
  const allowed = new Set<number>();
  const value = (part: string): number => {
    const index = names.indexOf(part.toUpperCase());
    const number = index === -1 ? Number(part) : index + nameBase;
    if (!Number.isInteger(number) || number < low || number > high) throw invalid();
    return number;
  };
  for (const item of field.split(',')) {
    const [range = '', step] = item.split('/');
    const [from = '', to] = range.split('-');
    const any = range === '*' || range === '?';
    const first = any ? low : value(from);
    const last = any || (to === undefined && step !== undefined) ? high : value(to ?? from);
    const stride = step === undefined ? 1 : Number(step);
    if (!Number.isInteger(stride) || stride < 1) throw invalid();
    for (let i = first; i <= last; i += stride) allowed.add(i);
  }
  return allowed;
}

function cron(expression: string): Schedule | undefined {
  const fields = /^cron\((.+)\)$/.exec(expression)?.[1]?.trim().split(/\s+/);
  if (fields === undefined) return undefined;
  const [minute, hour, day, month, weekDay, year] = fields;
  if (fields.length !== 6 || !minute || !hour || !day || !month || !weekDay || !year) throw invalid();
  // One of the two day fields has to be a question mark, as EventBridge demands.
  if (day !== '?' && weekDay !== '?') throw invalid();
  const sets = {
    minute: cronField(minute, 0, 59, [], 0),
    hour: cronField(hour, 0, 23, [], 0),
    day: cronField(day, 1, 31, [], 0),
    month: cronField(month, 1, 12, MONTHS, 1),
    weekDay: cronField(weekDay, 1, 7, WEEK_DAYS, 1),
    year: cronField(year, 1970, 2199, [], 0),
  };
  const dayMatches = (time: Date): boolean =>
    sets.year.has(time.getUTCFullYear()) &&
    sets.month.has(time.getUTCMonth() + 1) &&
    sets.day.has(time.getUTCDate()) &&
    sets.weekDay.has(time.getUTCDay() + 1);
  return (nowMs) => {
    let atMs = Math.floor(nowMs / 60_000) * 60_000 + 60_000;
    const endMs = nowMs + SEARCH_MS;
    while (atMs < endMs) {
      const time = new Date(atMs);
      if (!dayMatches(time)) atMs = Math.floor(atMs / 86_400_000) * 86_400_000 + 86_400_000;
      else if (!sets.hour.has(time.getUTCHours()))
        atMs = Math.floor(atMs / 3_600_000) * 3_600_000 + 3_600_000;
      else if (!sets.minute.has(time.getUTCMinutes())) atMs += 60_000;
      else return atMs - nowMs;
    }
    return Number.POSITIVE_INFINITY;
  };
}

/** Parses `rate(...)` and `cron(...)` (UTC, without L, W and #). @throws AwsError `ValidationException` */
export function parseSchedule(expression: string): Schedule {
  const schedule = rate(expression) ?? cron(expression);
  if (schedule === undefined) throw invalid();
  return schedule;
}
