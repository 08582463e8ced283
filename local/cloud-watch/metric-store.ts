export type Dimensions = Readonly<Record<string, string>>;

export interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Dimensions;
}

/** A sample, or a set of them that the caller already summed up. */
export interface Sample {
  readonly atMs: number;
  readonly sum: number;
  readonly count: number;
  readonly minimum: number;
  readonly maximum: number;
}

export type Statistic = 'Average' | 'Sum' | 'Minimum' | 'Maximum' | 'SampleCount';

/** Real ms that samples are kept: long enough for every alarm and every graph of a local run. */
const KEPT_MS = 3 * 60 * 60 * 1000;
/** Samples kept per metric, oldest dropped first. */
const MAX_SAMPLES = 20_000;

/** Metrics are not aggregated over dimensions: each set of dimensions is a metric of its own, as on AWS. */
function keyOf({ namespace, name, dimensions }: Metric): string {
  return JSON.stringify([namespace, name, Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

export class MetricStore {
  readonly #samples = new Map<string, Sample[]>();
  readonly #metrics = new Map<string, Metric>();

  put(metric: Metric, sample: Sample): void {
    const key = keyOf(metric);
    const samples = this.#samples.get(key) ?? [];
    this.#samples.set(key, samples);
    this.#metrics.set(key, metric);
    samples.push(sample);
    const firstKept = samples.findIndex(({ atMs }) => atMs > sample.atMs - KEPT_MS);
    const surplus = Math.max(firstKept, samples.length - MAX_SAMPLES);
    if (surplus > 0) samples.splice(0, surplus);
  }

  metrics(): readonly Metric[] {
    return [...this.#metrics.values()];
  }

  /** Samples in [fromMs, toMs), real time. */
  samples(metric: Metric, fromMs: number, toMs: number): readonly Sample[] {
    return (this.#samples.get(keyOf(metric)) ?? []).filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  }
}

/** One statistic over some samples; undefined when there are none. */
export function statisticOf(samples: readonly Sample[], statistic: Statistic): number | undefined {
  if (samples.length === 0) return undefined;
  const sum = samples.reduce((total, sample) => total + sample.sum, 0);
  const count = samples.reduce((total, sample) => total + sample.count, 0);
  switch (statistic) {
    case 'Sum':
      return sum;
    case 'SampleCount':
      return count;
    case 'Average':
      return sum / count;
    case 'Minimum':
      return Math.min(...samples.map(({ minimum }) => minimum));
    case 'Maximum':
      return Math.max(...samples.map(({ maximum }) => maximum));
  }
}
