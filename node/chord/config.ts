/**
 * Every knob of the protocol. Durations are in ms and are never scaled: they follow the network, not the cloud.
 */
export interface ChordConfig {
  /** Zave's r. Raised: survives more simultaneous deaths without the member table. Lowered: shorter messages. */
  readonly successorListLength: number;
  /** Between two stabilizes while lookups or changes happen. */
  readonly stabilizePeriodMs: number;
  /** After a change or a suspicion. Lowered: heals sooner, more calls in bad weather. */
  readonly eagerPeriodMs: number;
  /** What the period grows to when nothing happens. Must stay well below `grantRightMs`. */
  readonly idlePeriodMs: number;
  /** Rounds without news before the period grows by half. */
  readonly quietRounds: number;
  /** Share by which a period is shortened or lengthened at random, so that members do not march in step. */
  readonly jitter: number;
  /** Bounds of the timeout of one call, which follows the measured round trip between them. */
  readonly minTimeoutMs: number;
  readonly maxTimeoutMs: number;
  /** Calls that must fail before a suspicion is put to others, and the pause between them. */
  readonly probeCount: number;
  readonly probePauseMs: number;
  /** Members asked to probe a suspect on our behalf. */
  readonly indirectProbes: number;
  /** How long a member may say "mine" after it sent the stabilize that was acknowledged. */
  readonly leaseMs: number;
  /** How long a member may grant leases after such an acknowledgement. Raised: two neighbours hung at once take longer. */
  readonly grantRightMs: number;
  /** Added by the granting side to every wait for a lease to run out: covers clocks of different rate. */
  readonly leaseMarginMs: number;
  /** Between two re-syncs with the member table; what makes every state of the model heal. */
  readonly registrySyncMs: number;
  /** Between two digest exchanges with a random member. */
  readonly gossipPeriodMs: number;
  /** How long the dead and the left stay in the table, so that an old rumour does not revive them. */
  readonly tombstoneMs: number;
  /** Members a lookup may ask before it gives up. */
  readonly hopBudget: number;
  /** A hop by fingers settles so many bits of the way; 1: the paper's. Raised: fewer hops, more fingers to keep right. */
  readonly fingerBits: number;
  /** Off: lookups go by fingers alone, and members learn only of their neighbours. For measurements. */
  readonly memberTable: boolean;
  /** Off: a node started without member table; joins need no admission lease. For tests of the pure protocol. */
  readonly registry: boolean;
  readonly corrections: Corrections;
}

/**
 * The corrections to Chord as published, one switch each. All on, always; only tests take one out, to see that
 * something breaks.
 */
export interface Corrections {
  /** Successor lists are cut off at self and hold nobody twice. */
  readonly truncateAtSelf: boolean;
  /** No pointer is adopted without contact in the same step. */
  readonly contactBeforeAdopt: boolean;
  /** Joins are admitted one at a time, and only into an ideal ring. */
  readonly serialAdmission: boolean;
  /** When a successor list is exhausted, the member table is asked. */
  readonly registryFallback: boolean;
  /** The member table is consulted now and then even when nothing is wrong. */
  readonly registryResync: boolean;
  /** A successor's list is adopted together with it, so that lists stay whole. */
  readonly wholeLists: boolean;
  /** A dead predecessor is kept, marked dead, until another replaces it. */
  readonly keepDeadPredecessor: boolean;
  /** Rectify replaces only a predecessor that is farther or dead. */
  readonly rectifyChecks: boolean;
  /** A pointer to an older life of a member is stale. */
  readonly incarnations: boolean;
  /** Only a member whose successor acknowledged it within the lease says "mine". */
  readonly leases: boolean;
  /** A silent member's arc is taken over only with a majority behind it, or by arbitration in a ring of two. */
  readonly majorityTakeOver: boolean;
  /** A call that failed is repeated, directly and through others, before its target is given up. */
  readonly doubtfulDetection: boolean;
  /** The owner itself confirms that a key is its own before a lookup ends. */
  readonly ownerConfirms: boolean;
  /** A hop of a lookup must be strictly closer to the key than the one before. */
  readonly closerHops: boolean;
  /** A joining member owns nothing until its successor has given the arc up. */
  readonly ownershipAfterData: boolean;
}

export const ALL_CORRECTIONS: Corrections = {
  truncateAtSelf: true,
  contactBeforeAdopt: true,
  serialAdmission: true,
  registryFallback: true,
  registryResync: true,
  wholeLists: true,
  keepDeadPredecessor: true,
  rectifyChecks: true,
  incarnations: true,
  leases: true,
  majorityTakeOver: true,
  doubtfulDetection: true,
  ownerConfirms: true,
  closerHops: true,
  ownershipAfterData: true,
};

export const DEFAULT_CONFIG: ChordConfig = {
  successorListLength: 8,
  stabilizePeriodMs: 1_000,
  eagerPeriodMs: 250,
  idlePeriodMs: 4_500,
  quietRounds: 3,
  jitter: 0.25,
  minTimeoutMs: 50,
  maxTimeoutMs: 500,
  probeCount: 2,
  probePauseMs: 100,
  indirectProbes: 3,
  leaseMs: 2_000,
  grantRightMs: 10_000,
  leaseMarginMs: 100,
  registrySyncMs: 30_000,
  gossipPeriodMs: 30_000,
  tombstoneMs: 600_000,
  hopBudget: 40,
  fingerBits: 5,
  memberTable: true,
  registry: true,
  corrections: ALL_CORRECTIONS,
};
