const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds meant by `90s`, `30m`, `2h` or `3d`; undefined for anything else. */
export function parseTimeSpan(text: string): number | undefined {
  const [, count = '', unit = ''] = /^(\d+)([smhd])$/.exec(text.trim()) ?? [];
  const ms = Number(count) * (UNIT_MS[unit] ?? Number.NaN);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** A span for a person, in the largest unit that leaves a whole number or one decimal: `850 ms`, `3.2 s`, `12 min`. */
export function showTimeSpan(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${ms < 10_000 ? (ms / 1_000).toFixed(1) : Math.round(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 2 * 86_400_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}
