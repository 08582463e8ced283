import { describe, expect, test } from 'vitest';
import { History, type HistoryEvent } from './history.ts';

function judge(
  ...events: (Partial<HistoryEvent> & Pick<HistoryEvent, 'kind' | 'startMs' | 'endMs'>)[]
): number {
  const history = new History();
  for (const event of events) history.events.push({ name: 'a', outcome: 'done', ...event });
  return history.violations().length;
}
const first = { kind: 'write', value: '1', startMs: 0, endMs: 1 } as const;
const second = { kind: 'write', value: '2', startMs: 2, endMs: 3 } as const;

describe('the history checker', () => {
  test.each([
    ['the newest value', [first, second, { kind: 'read', value: '2', startMs: 4, endMs: 5 }], 0],
    ['an older value', [first, second, { kind: 'read', value: '1', startMs: 4, endMs: 5 }], 1],
    [
      'either value during a write',
      [first, { ...second, endMs: 9 }, { kind: 'read', value: '1', startMs: 4, endMs: 5 }],
      0,
    ],
    ['a value nobody wrote', [first, { kind: 'read', value: '7', startMs: 4, endMs: 5 }], 1],
    ['nothing after an acknowledged write', [first, { kind: 'read', startMs: 4, endMs: 5 }], 1],
    ['nothing before any write', [{ kind: 'read', startMs: 0, endMs: 1 }], 0],
    [
      'nothing after a delete',
      [first, { kind: 'delete', startMs: 2, endMs: 3 }, { kind: 'read', startMs: 4, endMs: 5 }],
      0,
    ],
    [
      'a deleted value',
      [first, { kind: 'delete', startMs: 2, endMs: 3 }, { kind: 'read', value: '1', startMs: 4, endMs: 5 }],
      1,
    ],
    [
      'a late unknown write',
      [{ ...first, outcome: 'unknown' }, second, { kind: 'read', value: '1', startMs: 4, endMs: 5 }],
      0,
    ],
  ] as const)('judges %s', (_, events, expected) => {
    expect(judge(...events)).toBe(expected);
  });
});
