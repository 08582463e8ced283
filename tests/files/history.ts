/**
 * What clients did and saw, and whether a register per name could have behaved so. Times are one monotonic clock's.
 * Usable with any system: a value is any string that no other write of the run wrote.
 */
export interface HistoryEvent {
  readonly name: string;
  readonly kind: 'write' | 'delete' | 'read';
  readonly startMs: number;
  readonly endMs: number;
  /** `failed`: refused, had no effect. `unknown`: may have taken effect, then or later. */
  readonly outcome: 'done' | 'failed' | 'unknown';
  /** Written or read; undefined: a deletion, or a read that found nothing. */
  readonly value?: string | undefined;
}

export class History {
  readonly events: HistoryEvent[] = [];

  /** Runs one request of a client and notes how it went. `isRefusal` tells failures that surely had no effect. */
  async note<T>(
    event: Pick<HistoryEvent, 'name' | 'kind' | 'value'>,
    request: () => Promise<T>,
    {
      seenIn,
      isRefusal,
    }: { seenIn?: (answer: T) => string | undefined; isRefusal?: (error: unknown) => boolean } = {},
  ): Promise<T | undefined> {
    const startMs = performance.now();
    try {
      const answer = await request();
      const value = seenIn === undefined ? event.value : seenIn(answer);
      this.events.push({ ...event, value, startMs, endMs: performance.now(), outcome: 'done' });
      return answer;
    } catch (error) {
      const isWithoutEffect = event.kind === 'read' || isRefusal?.(error) === true;
      this.events.push({
        ...event,
        startMs,
        endMs: performance.now(),
        outcome: isWithoutEffect ? 'failed' : 'unknown',
      });
      return undefined;
    }
  }

  /** Every read that no register could have given, told as a sentence. */
  violations(): string[] {
    const names = new Set(this.events.map(({ name }) => name));
    return [...names].flatMap((name) => violationsOf(this.events.filter((event) => event.name === name)));
  }
}

function violationsOf(events: readonly HistoryEvent[]): string[] {
  const changes = events.filter(({ kind, outcome }) => kind !== 'read' && outcome !== 'failed');
  const acknowledged = changes.filter(({ outcome }) => outcome === 'done');
  const reads = events.filter(({ kind, outcome }) => kind === 'read' && outcome === 'done');
  return reads.flatMap((read) => {
    const before = acknowledged.filter(({ endMs }) => endMs < read.startMs);
    // Whichever change the read saw must not have been followed, as a whole and before the read, by another one.
    const isCurrent = (change: HistoryEvent) =>
      change.startMs < read.endMs &&
      !before.some((later) => change.outcome === 'done' && later !== change && later.startMs > change.endMs);
    const seen = changes.filter(({ kind, value }) =>
      read.value === undefined ? kind === 'delete' : value === read.value,
    );
    if (seen.some(isCurrent)) return [];
    if (read.value === undefined && before.length === 0) return [];
    const what = read.value ?? 'nothing';
    const newest = [...before].sort((a, b) => b.startMs - a.startMs)[0];
    return [
      `a read of ${read.name} ${timesOf(read)} saw ${what}, written ${seen.map(timesOf).join(' or ') || 'never'}` +
        (newest === undefined ? '' : `; last acknowledged: ${newest.kind} ${timesOf(newest)}`),
    ];
  });
}

function timesOf({ startMs, endMs }: HistoryEvent): string {
  return `from ${startMs.toFixed(1)} to ${endMs.toFixed(1)}`;
}
