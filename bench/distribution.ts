/** What a table says of many measurements. */
export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly p1: number;
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

export function distributionOf(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return {
    count: sorted.length,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p1: at(0.01),
    median: at(0.5),
    p99: at(0.99),
    most: sorted.at(-1) ?? Number.NaN,
  };
}

/** As the paper prints them: mean (1st, 99th percentile). */
export function meanAndBounds({ mean, p1, p99 }: Distribution): string {
  return `${mean.toFixed(2)} (${p1},${p99})`;
}

/** A table in Markdown, so that what a run prints can be put into a document as it is. */
export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}
