import { clockwiseDistance, type Identifier } from '../../domain/identifier.ts';
import type { MemberPhase } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';

/** Digests per exchange: with 1,000 members a bucket that differs costs about 16 records. */
export const BUCKET_COUNT = 64;

const PHASE_ORDER: Readonly<Record<MemberPhase, number>> = { joining: 0, active: 1, draining: 2, left: 3 };

interface Tombstone {
  readonly member: RingMember;
  readonly untilMs: number;
}

/** Everybody a member knows of. Immutable; one entry per identifier, the newest life in its latest phase. */
export interface MemberTable {
  /** Ascending by id; none that left. */
  readonly members: readonly RingMember[];
  /** Those of `members` that own arcs: active and draining. */
  readonly serving: readonly RingMember[];
  readonly tombstones: readonly Tombstone[];
  /** Equal digests: equal `members`, but for a chance of 2^-32. */
  readonly digest: number;
  /** The same over `serving`, phases left out: the electorate of a take-over. */
  readonly servingDigest: number;
}

export const EMPTY_TABLE: MemberTable = {
  members: [],
  serving: [],
  tombstones: [],
  digest: 0,
  servingDigest: 0,
};

export function isServing(phase: MemberPhase): boolean {
  return phase === 'active' || phase === 'draining';
}

/** Whether `a` tells something later than `b` about the same identifier. */
export function isLater(a: RingMember, b: RingMember): boolean {
  if (a.incarnation !== b.incarnation) return a.incarnation > b.incarnation;
  if (a.instanceId !== b.instanceId) return a.instanceId > b.instanceId;
  return PHASE_ORDER[a.phase] > PHASE_ORDER[b.phase];
}

/** Index of the first entry at or after `id`, going up; `members.length` when there is none. */
export function lowerBound(members: readonly RingMember[], id: Identifier): number {
  let low = 0;
  let high = members.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((members[middle]?.id ?? 0) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function findMember(table: MemberTable, id: Identifier): RingMember | undefined {
  const found = table.members[lowerBound(table.members, id)];
  if (found?.id === id) return found;
  return table.tombstones.find(({ member }) => member.id === id)?.member;
}

/** The first at or after `id` clockwise that passes; every entry is looked at once at most. */
export function firstFrom(
  members: readonly RingMember[],
  id: Identifier,
  passes: (member: RingMember) => boolean,
): RingMember | undefined {
  const start = lowerBound(members, id);
  for (let i = 0; i < members.length; i++) {
    const member = members[(start + i) % members.length];
    if (member !== undefined && passes(member)) return member;
  }
  return undefined;
}

/** The first strictly before `id` counter-clockwise that passes. */
export function firstBefore(
  members: readonly RingMember[],
  id: Identifier,
  passes: (member: RingMember) => boolean,
): RingMember | undefined {
  const start = lowerBound(members, id);
  for (let i = 1; i <= members.length; i++) {
    const member = members[(start - i + members.length) % members.length];
    if (member !== undefined && member.id !== id && passes(member)) return member;
  }
  return undefined;
}

/** Members strictly between `from` and `to`, clockwise from `from`. With `from` = `to`: all but that one. */
export function membersBetween(
  members: readonly RingMember[],
  from: Identifier,
  to: Identifier,
): readonly RingMember[] {
  const span = from === to ? 2 ** 32 : clockwiseDistance(from, to);
  const start = lowerBound(members, from);
  const between: RingMember[] = [];
  for (let i = 0; i < members.length; i++) {
    const member = members[(start + i) % members.length];
    if (member === undefined || member.id === from) continue;
    if (clockwiseDistance(from, member.id) >= span) break;
    between.push(member);
  }
  return between;
}

/** Mixes id, life and phase into 32 bits (xmur3's finaliser): digests are sums of these. */
function entryHash(member: RingMember, phase: number): number {
  let hash = member.id ^ Math.imul(member.incarnation + 0x9e3779b9, 0x85ebca6b) ^ (phase << 28);
  hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function fullHash(member: RingMember): number {
  return entryHash(member, PHASE_ORDER[member.phase]);
}

/**
 * The table with what `news` tells, or the same table when it tells nothing new. `force`: the news counts even when
 * it is about an older life.
 */
export function mergeMember(
  table: MemberTable,
  news: RingMember,
  options: { readonly tombstoneUntilMs: number; readonly force?: boolean },
): MemberTable {
  const at = lowerBound(table.members, news.id);
  const listed = table.members[at]?.id === news.id ? table.members[at] : undefined;
  const buried = table.tombstones.find(({ member }) => member.id === news.id)?.member;
  const known = listed ?? buried;
  if (known !== undefined && !isLater(news, known) && !(options.force === true && differs(news, known))) {
    return table;
  }
  let { digest, servingDigest } = table;
  if (listed !== undefined) {
    digest = (digest ^ fullHash(listed)) >>> 0;
    if (isServing(listed.phase)) servingDigest = (servingDigest ^ entryHash(listed, 0)) >>> 0;
  }
  const members = table.members.slice();
  if (news.phase === 'left') {
    if (listed !== undefined) members.splice(at, 1);
  } else {
    members.splice(at, listed === undefined ? 0 : 1, news);
    digest = (digest ^ fullHash(news)) >>> 0;
    if (isServing(news.phase)) servingDigest = (servingDigest ^ entryHash(news, 0)) >>> 0;
  }
  const tombstones =
    buried === undefined ? table.tombstones : table.tombstones.filter((t) => t.member !== buried);
  return {
    members,
    serving: withServing(table.serving, news),
    tombstones:
      news.phase === 'left'
        ? [...tombstones, { member: news, untilMs: options.tombstoneUntilMs }]
        : tombstones,
    digest,
    servingDigest,
  };
}

function differs(a: RingMember, b: RingMember): boolean {
  return a.incarnation !== b.incarnation || a.phase !== b.phase || a.instanceId !== b.instanceId;
}

function withServing(serving: readonly RingMember[], news: RingMember): readonly RingMember[] {
  const at = lowerBound(serving, news.id);
  const isListed = serving[at]?.id === news.id;
  if (!isListed && !isServing(news.phase)) return serving;
  const next = serving.slice();
  if (isServing(news.phase)) next.splice(at, isListed ? 1 : 0, news);
  else next.splice(at, 1);
  return next;
}

/** Forgets tombstones whose time is over. */
export function dropTombstones(table: MemberTable, nowMs: number): MemberTable {
  const tombstones = table.tombstones.filter(({ untilMs }) => untilMs > nowMs);
  return tombstones.length === table.tombstones.length ? table : { ...table, tombstones };
}

function bucketOf(id: Identifier): number {
  return Math.imul(id, 0x9e3779b1) >>> 26;
}

/** One digest per bucket of identifiers; tombstones do not count, they end at different times. */
export function bucketDigests(table: MemberTable): number[] {
  const digests = new Array<number>(BUCKET_COUNT).fill(0);
  for (const member of table.members) {
    const bucket = bucketOf(member.id);
    digests[bucket] = ((digests[bucket] ?? 0) ^ fullHash(member)) >>> 0;
  }
  return digests;
}

/** The entries and tombstones of the buckets in which the two tables differ. No digests: everything. */
export function differingMembers(table: MemberTable, digests: readonly number[]): readonly RingMember[] {
  const own = bucketDigests(table);
  const isWanted = ({ id }: RingMember) => digests[bucketOf(id)] !== own[bucketOf(id)];
  return [...table.members, ...table.tombstones.map(({ member }) => member)].filter(isWanted);
}
