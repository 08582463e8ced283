/**
 * The protocol core: `step` takes one event and returns the next state and what is to be done. No socket, clock or
 * dice in here: the runner on real machines and the simulator in tests drive the same function.
 */
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import { admit, joinAfter } from './admission.ts';
import { answerLookup, answerWaiting } from './answer-lookup.ts';
import { arbitrated, vote, voteAnswered } from './election.ts';
import type { ChordEvent, Command, FailureEvidence, Instant, RegistryAnswer } from './event.ts';
import { answerExchange, exchanged, gossip } from './exchange.ts';
import { fixNextFinger } from './fingers.ts';
import {
  continueJoin,
  joinAnswered,
  leaseForJoin,
  newContacts,
  retryJoin,
  startJoin,
  surveyAnswered,
} from './join.ts';
import { lookupAnswered, lookupFailed, retryLookups, startLookup } from './lookup.ts';
import type { Answer, Request } from './message.ts';
import { giveToNewcomer } from './newcomer.ts';
import { announceFailed, learn, learnAll, spread } from './news.ts';
import type { NodeState, PendingCall, Step } from './node-state.ts';
import {
  activateAnswered,
  continueEntering,
  createRing,
  handOverAnswered,
  handOverFailed,
  startEntering,
} from './phases.ts';
import { registrySynced, syncRegistry } from './registry-sync.ts';
import {
  answerResume,
  coldStart,
  continueResume,
  noteResuming,
  resumeAnswered,
  startResume,
} from './resume.ts';
import { endRevival, passRevival, revivalAnswered, startRevival } from './revival.ts';
import { answerStabilize, heartbeatAnswered, pointersAnswer, stabilize } from './stabilize.ts';
import {
  indirectProbed,
  observeAlive,
  observeFailure,
  probeForOther,
  probeSuspects,
  relayEnded,
  suspect,
} from './suspicion.ts';
import { buryContradicted, checkSilence, considerTakeOver, takeOverChecked } from './take-over.ts';
import { roundEnded } from './timetable.ts';
import { acceptHandOver, cede } from './transfer.ts';
import { answer, beginTurn, endTurn, type Turn, withoutEntry } from './turn.ts';
import { wakeAt } from './wake.ts';

export { owns } from './custody.ts';
export type { NodeState, Step } from './node-state.ts';
export { createNode } from './turn.ts';

/** One transition. Pure: equal arguments, equal results. Never throws on anything a peer may say. */
export function step(state: NodeState, event: ChordEvent, instant: Instant): Step {
  const turn = beginTurn(state, instant);
  handle(turn, event);
  settle(turn);
  turn.node.wakeAtMs = wakeAt(turn);
  return endTurn(turn);
}

/**
 * The members this node believes in, itself included, ascending by id; none that left. One that has left itself keeps its
 * last view of the others: it still takes requests to them.
 */
export function membersOf(state: NodeState): readonly RingMember[] {
  if (state.standing !== 'inside' && state.standing !== 'gone') return [];
  const others = state.table.members.filter(({ id }) => id !== state.self.id);
  if (state.standing === 'gone') return others;
  return [...others, { ...state.self, phase: state.phase }].sort((a, b) => a.id - b.id);
}

/** The neighbours by the ring's pointers, joining members included: what `get_predecessor` and `get_successor` tell. */
export function neighboursOf(state: NodeState): {
  readonly predecessor: Member | undefined;
  readonly successorList: readonly Member[];
} {
  const { predecessor, successorList } = state.pointers;
  return { predecessor, successorList };
}

function handle(turn: Turn, event: ChordEvent): void {
  switch (event.kind) {
    case 'woken':
      wake(turn);
      return;
    case 'received':
      receive(turn, event.request, event.callId);
      return;
    case 'answered':
      endCall(turn, event.callId, event.answer);
      return;
    case 'failed':
      failCall(turn, event.callId, event.evidence);
      return;
    case 'connectionLost':
      lookAtPeer(turn, event.instanceId);
      return;
    case 'registryAnswered':
      registryAnswered(turn, event.requestId, event.answer);
      return;
    case 'takeOverChecked':
      takeOverChecked(turn, event.checkId);
      return;
    case 'commanded':
      obey(turn, event.command);
      return;
  }
}

/** What every event may have made possible. */
function settle(turn: Turn): void {
  if (turn.node.standing !== 'inside') return;
  considerTakeOver(turn);
  answerWaiting(turn);
}

function wake(turn: Turn): void {
  const { node, nowMs } = turn;
  continueJoin(turn);
  continueResume(turn);
  if (node.standing !== 'inside') return;
  probeSuspects(turn);
  checkSilence(turn);
  if (nowMs >= node.schedule.registrySyncAtMs) syncRegistry(turn);
  if (nowMs >= node.schedule.gossipAtMs) {
    gossip(turn);
  }
  if (nowMs >= node.schedule.reviveAtMs) startRevival(turn);
  if (nowMs >= node.schedule.stabilizeAtMs) {
    stabilize(turn);
    fixNextFinger(turn);
    buryContradicted(turn);
  }
  if (node.admitting !== undefined && nowMs >= node.admitting.untilMs) node.admitting = undefined;
  continueEntering(turn);
  retryLookups(turn);
}

function receive(turn: Turn, request: Request, callId: number): void {
  if ('from' in request) observeAlive(turn, request.from);
  switch (request.kind) {
    case 'ping':
      answer(turn, callId, { kind: 'pong', self: { ...turn.node.self, phase: turn.node.phase } });
      return;
    case 'pingVia':
      probeForOther(turn, request.target, callId);
      return;
    case 'stabilize':
      answerStabilize(turn, request, callId);
      return;
    case 'lookup':
      answerLookup(turn, request, callId);
      return;
    case 'admit':
      admit(turn, request, callId);
      return;
    case 'exchange':
      answerExchange(turn, request, callId);
      return;
    case 'resume':
      answerResume(turn, request.from, callId);
      return;
    default:
      receiveInside(turn, request, callId);
  }
}

type InsideRequest = Exclude<
  Request,
  { readonly kind: 'ping' | 'pingVia' | 'stabilize' | 'lookup' | 'admit' | 'exchange' | 'resume' }
>;

/** What only a member in the pointers can answer. */
function receiveInside(turn: Turn, request: InsideRequest, callId: number): void {
  const { node } = turn;
  if (node.standing !== 'inside') {
    answer(turn, callId, { kind: 'notReady', self: node.self, isResuming: node.standing === 'resuming' });
    return;
  }
  switch (request.kind) {
    case 'describe':
      answer(turn, callId, pointersAnswer(turn, undefined, { knownDigest: 0, lease: undefined }));
      return;
    case 'announce':
      learnAll(turn, request.changes);
      spread(turn, request.changes, request.until);
      answer(turn, callId, { kind: 'done' });
      return;
    case 'joinAfter':
      joinAfter(turn, request, callId);
      return;
    case 'activate':
      if (node.config.memberTable) cede(turn, request.from, callId);
      else giveToNewcomer(turn, request.from, callId);
      return;
    case 'handOver':
      acceptHandOver(turn, request.from, request, callId);
      return;
    case 'leave':
      learn(turn, { ...request.from, phase: 'left' });
      answer(turn, callId, { kind: 'done' });
      return;
    case 'askVote':
      vote(turn, request, callId);
      return;
    case 'revive':
      passRevival(turn, request.from, callId);
      return;
  }
}

function endCall(turn: Turn, callId: number, reply: Answer): void {
  const pending = turn.node.calls.get(callId);
  if (pending === undefined) return;
  turn.node.calls = withoutEntry(turn.node.calls, callId);
  observeAlive(turn, pending.to);
  if (reply.kind === 'notReady' && reply.isResuming) noteResuming(turn, reply.self);
  switch (pending.purpose.kind) {
    case 'stabilize':
    case 'candidate':
    case 'lease':
      heartbeatAnswered(turn, pending, reply);
      return;
    case 'probeVia':
      indirectProbed(turn, pending.purpose.suspect, reply.kind === 'pinged' ? reply : undefined);
      return;
    case 'relay':
      relayEnded(turn, pending, reply.kind === 'pong' ? reply.self.incarnation : 'timeout');
      return;
    case 'exchange':
      exchanged(turn, pending, reply);
      return;
    case 'lookup':
      lookupAnswered(turn, pending, reply);
      return;
    case 'join':
      joinAnswered(turn, pending, reply);
      return;
    case 'survey':
      surveyAnswered(turn, pending, reply);
      return;
    default:
      endCustodyCall(turn, pending, reply);
  }
}

function endCustodyCall(turn: Turn, pending: PendingCall, reply: Answer): void {
  switch (pending.purpose.kind) {
    case 'activate':
      activateAnswered(turn, reply);
      return;
    case 'handOver':
      handOverAnswered(turn, reply);
      return;
    case 'resume':
      resumeAnswered(turn, pending, reply);
      return;
    case 'vote':
      voteAnswered(turn, pending, reply);
      return;
    case 'revive':
      revivalAnswered(turn, pending, reply);
      return;
    default:
  }
}

function failCall(turn: Turn, callId: number, evidence: FailureEvidence): void {
  const pending = turn.node.calls.get(callId);
  if (pending === undefined) return;
  turn.node.calls = withoutEntry(turn.node.calls, callId);
  // A relayed probe is somebody else's doubt, and a farewell is nobody's.
  const { kind } = pending.purpose;
  if (kind !== 'relay' && kind !== 'farewell') observeFailure(turn, pending.to, evidence);
  switch (pending.purpose.kind) {
    case 'stabilize':
      roundEnded(turn, false);
      return;
    case 'probeVia':
      indirectProbed(turn, pending.purpose.suspect, undefined);
      return;
    case 'relay':
      relayEnded(turn, pending, evidence);
      return;
    case 'announce':
      announceFailed(turn, pending);
      return;
    case 'lookup':
      lookupFailed(turn, pending);
      return;
    case 'join':
      if (pending.purpose.attempt === turn.node.join?.attempt) retryJoin(turn);
      return;
    case 'survey':
      surveyAnswered(turn, pending, undefined);
      return;
    case 'revive':
      endRevival(turn);
      return;
    case 'handOver':
      handOverFailed(turn);
      return;
    default:
  }
}

/** A standing connection broke: the neighbours of that member look at once. */
function lookAtPeer(turn: Turn, instanceId: string): void {
  const { node } = turn;
  if (node.standing !== 'inside') return;
  const { predecessor, successorList } = node.pointers;
  const known = [predecessor, successorList[0], node.custody.grantee?.member];
  const member = known.find((candidate) => candidate?.instanceId === instanceId);
  if (member !== undefined) suspect(turn, member);
}

function registryAnswered(turn: Turn, requestId: number, reply: RegistryAnswer): void {
  const { node } = turn;
  const purpose = node.registryRequests.get(requestId);
  if (purpose === undefined) return;
  node.registryRequests = withoutEntry(node.registryRequests, requestId);
  switch (purpose.kind) {
    case 'sync':
      if (reply.kind !== 'members') return;
      if (node.standing === 'inside') registrySynced(turn, reply.members);
      else newContacts(turn, reply.members);
      return;
    case 'joinLease':
      leaseForJoin(turn, reply);
      return;
    case 'arbitrate':
      if (reply.kind === 'arbitrated') arbitrated(turn, purpose.about, reply.isWon);
      return;
    case 'report':
      if (reply.kind === 'unavailable' && purpose.gone !== undefined) {
        node.untold = [...node.untold, purpose.gone];
      }
      return;
  }
}

function obey(turn: Turn, command: Command): void {
  switch (command.kind) {
    case 'create':
      createRing(turn);
      return;
    case 'join':
      startJoin(turn, command.contacts);
      return;
    case 'resume':
      startResume(turn, command.contacts);
      return;
    case 'coldStart':
      coldStart(turn, command.members);
      return;
    case 'lookup':
      startLookup(turn, command.lookupId, command.key);
      return;
    case 'abandonLookup':
      turn.node.lookups = withoutEntry(turn.node.lookups, command.lookupId);
      return;
    case 'enter':
      startEntering(turn, command.phase);
      return;
    case 'suspect': {
      const member = turn.node.table.members.find(({ instanceId }) => instanceId === command.instanceId);
      if (member !== undefined && turn.node.standing === 'inside') suspect(turn, member);
      return;
    }
  }
}
