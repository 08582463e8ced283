/** Members compare their tables with a random other, bucket by bucket: it finds what every announcement missed. */
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { bucketDigests, differingMembers } from './member-table.ts';
import type { Answer } from './message.ts';
import { learn, learnAll } from './news.ts';
import type { PendingCall } from './node-state.ts';
import { answer, call, isAwaiting, jittered, selfOf, type Turn } from './turn.ts';
import { hasVerdict } from './verdict.ts';

/** Nothing new since the last exchange: the next may wait so many periods. Neighbours compare digests all the time. */
const QUIET_GOSSIP_PERIODS = 4;

export function gossip(turn: Turn): void {
  const { node } = turn;
  const { gossipPeriodMs } = node.config;
  const isQuiet = node.schedule.gossipedDigest === node.table.digest;
  const periodMs = isQuiet ? QUIET_GOSSIP_PERIODS * gossipPeriodMs : gossipPeriodMs;
  node.schedule = {
    ...node.schedule,
    gossipAtMs: turn.nowMs + jittered(turn, periodMs),
    gossipedDigest: node.table.digest,
  };
  const others = node.table.members.filter(
    ({ instanceId }) => instanceId !== node.self.instanceId && !hasVerdict(node, instanceId),
  );
  const chosen = others[Math.floor(turn.random() * others.length)];
  // The successor's digest comes with every stabilize: with two members there is nobody else to compare with.
  if (chosen !== undefined && others.length > 1) exchangeWith(turn, chosen);
}

export function exchangeWith(turn: Turn, member: Member): void {
  const { node } = turn;
  if (isAwaiting(node, (purpose, to) => purpose.kind === 'exchange' && to.instanceId === member.instanceId)) {
    return;
  }
  const request = { kind: 'exchange', from: selfOf(node), digests: bucketDigests(node.table) } as const;
  call(turn, member, request, { kind: 'exchange' });
}

export function answerExchange(
  turn: Turn,
  request: { readonly from: RingMember; readonly digests: readonly number[] },
  callId: number,
): void {
  const { node } = turn;
  if (node.standing !== 'inside') {
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: node.standing === 'resuming' });
    return;
  }
  // Who asks from outside of the ring tells nothing about itself yet, and wants everything.
  if (request.digests.length > 0) learn(turn, request.from);
  const members = differingMembers(node.table, request.digests);
  answer(turn, callId, { kind: 'members', members: [...members, selfOf(node)] });
}

export function exchanged(turn: Turn, pending: PendingCall, reply: Answer): void {
  if (reply.kind !== 'members' || pending.purpose.kind !== 'exchange') return;
  learnAll(turn, reply.members);
}
