import {
  type Condition,
  type ItemKey,
  ringPartition,
  type StoredItem,
  type TableWrite,
  update,
  VOTE_PREFIX,
} from './table-writes.ts';

/**
 * What the ring keeps in the member table besides the members: who may be admitted now, and which lives are over.
 * All deaths of one ring are one item, so that of two members who declare each other dead exactly one is first.
 */

/** One life of one member: its process, from one start to the next. */
export interface Life {
  readonly instanceId: string;
  readonly incarnation: number;
}

export function admissionKey(stage: string): ItemKey {
  return { pk: ringPartition(stage), sk: 'ADMISSION' };
}
export function deathsKey(stage: string, ringId: string): ItemKey {
  return { pk: ringPartition(stage), sk: `DEATHS#${ringId}` };
}
export function votePrefix(ringId: string, suspect: Life): string {
  return `${VOTE_PREFIX}${ringId}#${suspect.instanceId}#${suspect.incarnation}#`;
}

function holderName({ instanceId, incarnation }: Life): string {
  return `${instanceId}/${incarnation}`;
}

/** Takes the lease when it is free, has run out, or is held already; the fence grows with every grant. */
export function acquireAdmission(options: {
  readonly stage: string;
  readonly holder: Life;
  readonly nowMs: number;
  readonly ttlMs: number;
}): TableWrite {
  const { stage, holder, nowMs, ttlMs } = options;
  return update(
    admissionKey(stage),
    { set: { holder: holderName(holder), untilMs: nowMs + ttlMs }, add: { fence: 1 } },
    [
      {
        any: [
          [{ attribute: 'holder', is: 'absent' }],
          [{ attribute: 'holder', is: '=', value: holderName(holder) }],
          [{ attribute: 'untilMs', is: '<', value: nowMs }],
        ],
      },
    ],
  );
}

/** Refused when the lease went to another meanwhile. */
export function renewAdmission(options: {
  readonly stage: string;
  readonly holder: Life;
  readonly fence: number;
  readonly nowMs: number;
  readonly ttlMs: number;
}): TableWrite {
  const { stage, holder, fence, nowMs, ttlMs } = options;
  return update(admissionKey(stage), { set: { untilMs: nowMs + ttlMs } }, held(holder, fence));
}

/** Only `holder` goes: the fence must outlive every lease. */
export function releaseAdmission(options: {
  readonly stage: string;
  readonly holder: Life;
  readonly fence: number;
}): TableWrite {
  return update(admissionKey(options.stage), { remove: ['holder'] }, held(options.holder, options.fence));
}

function held(holder: Life, fence: number): [Condition, ...Condition[]] {
  return [
    { attribute: 'holder', is: '=', value: holderName(holder) },
    { attribute: 'fence', is: '=', value: fence },
  ];
}

/** The fence of the lease, if this life holds it. */
export function parseAdmission(item: StoredItem | undefined, holder: Life): number | undefined {
  const fence = item?.['fence'];
  return item?.['holder'] === holderName(holder) && typeof fence === 'number' ? fence : undefined;
}

/** Notes one voter's word; a repeated vote only renews its time. */
export function castVote(options: {
  readonly stage: string;
  readonly ringId: string;
  readonly suspect: Life;
  readonly voter: Life;
  readonly nowMs: number;
}): TableWrite {
  const { stage, ringId, suspect, voter, nowMs } = options;
  return update(
    { pk: ringPartition(stage), sk: `${votePrefix(ringId, suspect)}${voter.instanceId}` },
    // Votes are counted for a minute and garbage after a day.
    { set: { atMs: nowMs, ttl: Math.ceil(nowMs / 1000) + 86_400 } },
    [{ any: [[{ attribute: 'atMs', is: 'absent' }], [{ attribute: 'atMs', is: '<=', value: nowMs }]] }],
  );
}

/** How many voters have said so since `sinceMs`. */
export function countVotes(items: readonly StoredItem[], sinceMs: number): number {
  return items.filter(({ atMs }) => typeof atMs === 'number' && atMs >= sinceMs).length;
}

/**
 * Declares lives dead, on the word of `claimant` if one is given: refused when the claimant itself was declared dead
 * before. One conditional write on one item decides, however many try at once.
 */
export function declareDead(options: {
  readonly stage: string;
  readonly ringId: string;
  readonly dead: readonly Life[];
  readonly claimant?: Life | undefined;
}): TableWrite {
  const { stage, ringId, dead, claimant } = options;
  const set = Object.fromEntries(dead.map(({ instanceId, incarnation }) => [instanceId, incarnation]));
  // Without a claimant only a later life that is dead already stands in the way; it stays so.
  const notLaterThan = ({ instanceId, incarnation }: Life, is: '<' | '<='): Condition => ({
    any: [[{ attribute: instanceId, is: 'absent' }], [{ attribute: instanceId, is, value: incarnation }]],
  });
  const conditions =
    claimant === undefined ? dead.map((life) => notLaterThan(life, '<=')) : [notLaterThan(claimant, '<')];
  const [first, ...rest] = conditions;
  if (first === undefined) throw new RangeError('nobody is declared dead');
  return update(deathsKey(stage, ringId), { set }, [first, ...rest]);
}

/** Last dead incarnation by instance id. */
export function parseDeaths(item: StoredItem | undefined): ReadonlyMap<string, number> {
  const entries = Object.entries(item ?? {}).filter(
    (entry): entry is [string, number] =>
      entry[0] !== 'pk' && entry[0] !== 'sk' && typeof entry[1] === 'number',
  );
  return new Map(entries);
}

export function isDead(deaths: ReadonlyMap<string, number>, { instanceId, incarnation }: Life): boolean {
  return (deaths.get(instanceId) ?? -1) >= incarnation;
}
