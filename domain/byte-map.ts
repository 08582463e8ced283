import { clockwiseDistance, type Identifier, identifier, RING_SIZE } from './identifier.ts';
import type { ArcWeight } from './node-usage.ts';

/** A member's place and how primary bytes lie in the arc it owned when it last reported. */
export interface WeightedArc {
  readonly id: Identifier;
  /** Where the reported arc begins; undefined: at the member's present predecessor. */
  readonly predecessorId?: Identifier | undefined;
  /** Empty: it has not reported as an owner yet. */
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

interface Segment {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** One member's report, in steps counted from where its arc began, so that nothing wraps. */
interface Report {
  readonly start: Identifier;
  readonly width: number;
  readonly segments: readonly Segment[];
}

function reportOf(arc: WeightedArc, predecessorId: Identifier): Report | undefined {
  if (arc.arcWeights.length === 0) return undefined;
  const start = arc.predecessorId ?? predecessorId;
  const width = clockwiseDistance(start, arc.id) || RING_SIZE;
  let reached = 0;
  const segments = arc.arcWeights.flatMap(({ upTo, bytes }) => {
    const end = clockwiseDistance(start, upTo) || width;
    if (end > width || end <= reached || bytes <= 0) return [];
    const segment = { from: reached, to: end, bytes };
    reached = end;
    return [segment];
  });
  return { start, width, segments };
}

/** The report's bytes between two points of its own steps, laid onto the circle. */
function clip({ start, segments }: Report, from: number, to: number): Segment[] {
  return segments.flatMap((segment) => {
    const low = Math.max(segment.from, from);
    const high = Math.min(segment.to, to);
    if (high <= low) return [];
    const bytes = (segment.bytes * (high - low)) / (segment.to - segment.from);
    return splitAtZero({ from: start + low, to: start + high, bytes });
  });
}

function splitAtZero(segment: Segment): Segment[] {
  const { from, to, bytes } = segment;
  if (from >= RING_SIZE) return [{ from: from - RING_SIZE, to: to - RING_SIZE, bytes }];
  if (to <= RING_SIZE) return [segment];
  const before = (bytes * (RING_SIZE - from)) / (to - from);
  return [
    { from, to: RING_SIZE, bytes: before },
    { from: 0, to: to - RING_SIZE, bytes: bytes - before },
  ];
}

/**
 * Reports are of different ages: a newcomer has not reported yet and its successor still tells of the arc it had
 * before, or a member has left and its successor does not tell of what it took over yet. So each present arc is read
 * from its owner as far as the owner's report reaches, and the rest from whoever reported it last: no byte is lost,
 * and none is counted twice.
 */
function segmentsOf(owners: readonly WeightedArc[], departed: readonly WeightedArc[]): Segment[] {
  const sorted = [...owners].sort((a, b) => a.id - b.id);
  const reports = sorted.map((arc, index) => reportOf(arc, (sorted.at(index - 1) ?? arc).id));
  const others = departed.flatMap((arc) =>
    arc.predecessorId === undefined ? [] : (reportOf(arc, arc.id) ?? []),
  );
  return sorted.flatMap((arc, index) => {
    const predecessor = sorted.at(index - 1) ?? arc;
    const width = clockwiseDistance(predecessor.id, arc.id) || RING_SIZE;
    const own = reports[index];
    const covered = own === undefined ? 0 : Math.min(own.width, width);
    const found = own === undefined ? [] : clip(own, own.width - covered, own.width);
    if (covered === width) return found;
    const missing = { from: predecessor.id, width: width - covered };
    return [...found, ...fillGap(missing, [...others, ...after(reports, index)])];
  });
}

/** Reports in the order in which their members follow on the ring: whoever owned an arc before stands after it. */
function after(reports: readonly (Report | undefined)[], index: number): Report[] {
  return [...reports.slice(index + 1), ...reports.slice(0, index)].filter((report) => report !== undefined);
}

function fillGap(
  gap: { readonly from: Identifier; readonly width: number },
  reports: readonly Report[],
): Segment[] {
  let { from, width } = gap;
  const found: Segment[] = [];
  // Each report that reaches over the beginning of the gap shortens it; the bound only guards against a mistake here.
  for (let round = 0; round <= reports.length && width > 0; round++) {
    const report = reports.find(({ start, width: reach }) => clockwiseDistance(start, from) < reach);
    if (report === undefined) break;
    const low = clockwiseDistance(report.start, from);
    const high = Math.min(report.width, low + width);
    found.push(...clip(report, low, high));
    from = identifier(from + (high - low));
    width -= high - low;
  }
  return found;
}

function curveOf(segments: readonly Segment[]): Curve {
  const points = [0];
  const bytes = [0];
  let total = 0;
  for (const segment of [...segments].sort((a, b) => a.from - b.from)) {
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

/**
 * @param owners Everybody who has or will have an arc, ids distinct.
 * @param departed Reports of members whose arcs belong to their successors now.
 */
export function byteMap(owners: readonly WeightedArc[], departed: readonly WeightedArc[] = []): ByteMap {
  const { points, bytes } = curveOf(segmentsOf(owners, departed));
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
