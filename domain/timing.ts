/**
 * Every duration of the control plane, in one table. `ms` is real time on AWS; a deployment with TimeScale s uses
 * ms / s, but never less than `floorMs`: what real work on a busy machine needs however fast the emulated cloud's
 * clocks run. Timers of the data plane (RPC timeouts, stabilize, admission) are not here and never scaled.
 */
const DURATIONS = {
  /** A node reports usage and life. Raised: cheaper table, later detection. Lowered: more writes for no more safety. */
  heartbeat: { ms: 15_000, floorMs: 500 },
  /** A heartbeat older than this makes a member suspect. At least 4 heartbeats, so that one lost write means nothing. */
  heartbeatStale: { ms: 90_000, floorMs: 6_000 },
  /** First and longest wait between two looks of a booting node at its own row. */
  rowPollFirst: { ms: 2_000, floorMs: 200 },
  rowPollLongest: { ms: 10_000, floorMs: 500 },
  /** A booting node without a row claims one itself after this: the launch event or its Lambda is lost. */
  selfClaimAfter: { ms: 60_000, floorMs: 3_000 },
  /** The ring's creator must have activated by then; after it, anybody may take the genesis over. */
  creatorLease: { ms: 180_000, floorMs: 20_000 },
  /** An ASSIGNED row whose node never starts to join is given up after this. */
  assignedDeadline: { ms: 600_000, floorMs: 45_000 },
  /** Longest join, transfer included; its lifecycle heartbeats stop then. */
  joinLongest: { ms: 30 * 60_000, floorMs: 120_000 },
  /** Longest drain, the same. */
  drainLongest: { ms: 60 * 60_000, floorMs: 120_000 },
  /** Lifecycle heartbeat period: a third of the hooks' HeartbeatTimeout of 300 s, so that two may be lost. */
  lifecycleHeartbeat: { ms: 100_000, floorMs: 1_000 },
  /** Between two tries to complete a lifecycle action that is not completable yet. */
  completeRetry: { ms: 5_000, floorMs: 250 },
  /** Longest series of those tries; then the hook's timeout or the reconciler ends it. */
  completeLongest: { ms: 600_000, floorMs: 30_000 },
  /** Between two looks at the instance metadata for the target lifecycle state and spot notices. */
  metadataPoll: { ms: 5_000, floorMs: 300 },
  /** While the alarm lasts, two looks at it within this are one. */
  decideAgain: { ms: 60_000, floorMs: 1_000 },
  /**
   * The longest cooldown, from the last newcomer's activation. It ends sooner: as soon as everybody's report tells of
   * the ring with the newcomer in it. Raised: a member that cannot report holds growth up longer.
   */
  scaleCooldown: { ms: 300_000, floorMs: 5_000 },
  /** So long must one member less be enough before one is taken out: nights and weekends are not worth two moves. */
  lowWater: { ms: 30 * 60_000, floorMs: 10_000 },
  /** "At MaxSize" is said again after this while the alarm lasts. */
  skipLogAgain: { ms: 3_600_000, floorMs: 30_000 },
  /** An instance in Pending:Wait without a row, or a PENDING row in an active ring, is assigned by the reconciler. */
  unassignedGrace: { ms: 30_000, floorMs: 2_000 },
  /** A member must have been suspect by two peers within this. */
  deathVoteWindow: { ms: 60_000, floorMs: 20_000 },
  /** Neighbours may disagree with the table while a member comes or goes; longer than this is told. */
  ringOpen: { ms: 180_000, floorMs: 20_000 },
  /** A member that nobody has heard of for longer is told of: longer than a table that is throttled takes to recover. */
  silentTold: { ms: 180_000, floorMs: 20_000 },
  /** A GONE member's machine ends within this when the group had asked for it; after it, the group is told to replace it. */
  goneToEnd: { ms: 180_000, floorMs: 20_000 },
  /** A position claim without a member row is orphaned after this. */
  positionOrphan: { ms: 600_000, floorMs: 60_000 },
  /** An unpublished log row younger than this may still be in the hands of its writer. */
  outboxGrace: { ms: 10_000, floorMs: 2_000 },
  /** Terminal member rows and log rows are garbage after this; never scaled: people read them. */
  keepHistory: { ms: 30 * 24 * 3_600_000, floorMs: 30 * 24 * 3_600_000 },
} as const satisfies Record<string, { readonly ms: number; readonly floorMs: number }>;

export type DurationName = keyof typeof DURATIONS;

/** Each duration in real ms, named with its unit. */
export type Timing = { readonly [Name in DurationName as `${Name}Ms`]: number };

/** @param timeScale How many times faster than real time the deployment's clocks run; 1 on AWS. Must be at least 1. */
export function timing(timeScale: number): Timing {
  if (!(timeScale >= 1) || !Number.isFinite(timeScale)) {
    throw new RangeError(`time scale must be a number of at least 1, not ${timeScale}`);
  }
  const entries = Object.entries(DURATIONS).map(([name, { ms, floorMs }]) => [
    `${name}Ms`,
    Math.max(Math.round(ms / timeScale), Math.min(ms, floorMs)),
  ]);
  return Object.fromEntries(entries) as Timing;
}
