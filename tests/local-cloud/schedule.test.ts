import { describe, expect, test } from 'vitest';
import { parseSchedule } from '../../local/event-bridge/schedule.ts';

const MINUTE_MS = 60_000;
const noon = Date.UTC(2026, 0, 1, 12, 0, 0);

describe('a schedule expression', () => {
  test.each([
    ['rate(1 minute)', MINUTE_MS],
    ['rate(5 minutes)', 5 * MINUTE_MS],
    ['rate(2 hours)', 120 * MINUTE_MS],
    ['cron(0/15 * * * ? *)', 15 * MINUTE_MS],
    ['cron(30 12 * * ? *)', 30 * MINUTE_MS],
    ['cron(0 12 * * ? *)', 24 * 60 * MINUTE_MS],
    ['cron(0 0 1 FEB ? 2026)', Date.UTC(2026, 1, 1) - noon],
    ['cron(0 8 ? * MON-FRI *)', Date.UTC(2026, 0, 2, 8) - noon],
  ])('%s fires when EventBridge would', (expression, waitMs) => {
    expect(parseSchedule(expression)(noon)).toBe(waitMs);
  });

  test('that names no existing day never fires', () => {
    expect(parseSchedule('cron(0 0 31 2 ? *)')(noon)).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([
    'rate(1 minutes)',
    'rate(5 minute)',
    'rate(0 minutes)',
    'cron(0 0 1 * MON *)',
    'cron(61 * * * ? *)',
    'hourly',
  ])('%s is refused', (expression) => {
    expect(() => parseSchedule(expression)).toThrow(/ScheduleExpression is not valid/);
  });
});
