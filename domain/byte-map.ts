import { clockwiseDistance, type Identifier, identifier, RING_SIZE } from './identifier.ts';
import type { ArcWeight } from './node-usage.ts';

/** A member's own arc and how its primary bytes lie in it, as last reported. */
export interface WeightedArc {
  readonly id: Identifier;
  readonly arcWeights: readonly ArcWeight[];
}

/** How many primary bytes lie where on the circle; between two reported points they are taken as evenly spread. */
export interface ByteMap {
  readonly totalBytes: number;
  /** Bytes with keys in (from, to]; the whole circle when both are equal. */
  bytesIn(from: Identifier, to: Identifier): number;
  /** The first point after `from` such that (from, point] holds `bytes`, at most `to`. */
  pointAt(from: Identifier, to: Identifier, bytes: number): Identifier;
}

/** Strictly increasing points with the bytes in [0, point]; the first is at 0, the last at RING_SIZE. */
interface Curve {
  readonly points: readonly number[];
  readonly bytes: readonly number[];
}

function segmentsOf(arcs: readonly WeightedArc[]): { from: number; to: number; bytes: number }[] {
  const sorted = [...arcs].sort((a, b) => a.id - b.id);
  return sorted.flatMap((arc, index) => {
    const predecessor = sorted[(index + sorted.length - 1) % sorted.length] ?? arc;
    const width = clockwiseDistance(predecessor.id, arc.id) || RING_SIZE;
    let reached = 0;
    return arc.arcWeights.flatMap(({ upTo, bytes }) => {
      const end = clockwiseDistance(predecessor.id, upTo) || width;
      // A report older than the present predecessor may reach outside the arc: what does is another's to report.
      if (end > width || end <= reached || bytes <= 0) return [];
      const segment = { from: predecessor.id + reached, to: predecessor.id + end, bytes };
      reached = end;
      return splitAtZero(segment);
    });
  });
}

function splitAtZero(segment: { from: number; to: number; bytes: number }) {
  const { from, to, bytes } = segment;
  if (from >= RING_SIZE) return [{ from: from - RING_SIZE, to: to - RING_SIZE, bytes }];
  if (to <= RING_SIZE) return [segment];
  const before = (bytes * (RING_SIZE - from)) / (to - from);
  return [
    { from, to: RING_SIZE, bytes: before },
    { from: 0, to: to - RING_SIZE, bytes: bytes - before },
  ];
}

function curveOf(arcs: readonly WeightedArc[]): Curve {
  const points = [0];
  const bytes = [0];
  let total = 0;
  for (const segment of segmentsOf(arcs).sort((a, b) => a.from - b.from)) {
    const last = points[points.length - 1] ?? 0;
    if (segment.from > last) {
      points.push(segment.from);
      bytes.push(total);
    }
    if (segment.to > Math.max(last, segment.from)) {
      total += segment.bytes;
      points.push(segment.to);
      bytes.push(total);
    }
  }
  if ((points[points.length - 1] ?? 0) < RING_SIZE) {
    points.push(RING_SIZE);
    bytes.push(total);
  }
  return { points, bytes };
}

/** Piecewise-linear interpolation of `ys` over increasing `xs`, by binary search for the last x at or below. */
function interpolate(xs: readonly number[], ys: readonly number[], x: number): number {
  let low = 0;
  let high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((xs[middle] ?? 0) <= x) low = middle;
    else high = middle;
  }
  const [x0 = 0, x1 = 0, y0 = 0, y1 = 0] = [xs[low], xs[high], ys[low], ys[high]];
  return x1 <= x0 ? y0 : y0 + (y1 - y0) * Math.min(1, Math.max(0, (x - x0) / (x1 - x0)));
}

export function byteMap(arcs: readonly WeightedArc[]): ByteMap {
  const { points, bytes } = curveOf(arcs);
  const totalBytes = bytes[bytes.length - 1] ?? 0;
  const upTo = (point: number) => interpolate(points, bytes, point);
  const bytesIn = (from: Identifier, to: Identifier) => {
    const difference = upTo(to + 1) - upTo(from + 1);
    return clockwiseDistance(from, to) === 0 ? totalBytes : difference + (to < from ? totalBytes : 0);
  };
  return {
    totalBytes,
    bytesIn,
    pointAt(from, to, wanted) {
      // `bytesIn` grows with the point, so bisection finds it in 32 steps whatever the shape of the curve.
      let low = 0;
      let high = clockwiseDistance(from, to) || RING_SIZE - 1;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const reached = middle === 0 ? 0 : bytesIn(from, identifier(from + middle));
        if (reached >= wanted) high = middle;
        else low = middle + 1;
      }
      return identifier(from + low);
    },
  };
}
