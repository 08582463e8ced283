/**
 * Every message and every event, offered to a member in every phase, about itself, about somebody unknown, about
 * another under an id that is taken, and about nobody: it never throws, and its pointers stay right (5.17). What is
 * no message at all is refused before it comes here (`tests/ring/message-codec.test.ts`).
 */
import { describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import type { RingMember } from '../../domain/replica-placement.ts';
import type { ChordEvent, Command, RegistryAnswer } from '../../node/chord/event.ts';
import type { Answer, GrantBounds, LeaseAnswer, Pointers, Request } from '../../node/chord/message.ts';
import { type NodeState, step } from '../../node/chord/step.ts';
import { checkPointers } from '../simulation/invariants.ts';
import type { SimulatedNode } from '../simulation/simulated-node.ts';
import { type SmallRing, smallRing } from './small-ring.ts';

interface Case {
  readonly ring: SmallRing;
  readonly node: SimulatedNode;
}

function newcomerIn(count: number): Case {
  const ring = smallRing(count);
  return { ring, node: ring.simulation.addNode(identifier(7), 'i-newcomer') };
}

const PHASES: Readonly<Record<string, () => Case>> = {
  booting() {
    const { ring, node } = newcomerIn(4);
    ring.simulation.start(node);
    return { ring, node };
  },
  'on its way in'() {
    const { ring, node } = newcomerIn(4);
    ring.simulation.join(node);
    ring.simulation.runUntilTrue(() => node.state.join?.step === 'survey', 5_000, 1);
    return { ring, node };
  },
  joining() {
    const { ring, node } = newcomerIn(4);
    ring.simulation.join(node);
    ring.simulation.runUntilTrue(() => node.isInside, 5_000, 5);
    return { ring, node };
  },
  active() {
    const ring = smallRing(4);
    return { ring, node: ring.at(1) };
  },
  leaving() {
    const ring = smallRing(4);
    ring.simulation.leave(ring.at(1));
    return { ring, node: ring.at(1) };
  },
  suspect() {
    const ring = smallRing(4);
    for (const i of [0, 2, 3]) ring.simulation.freeze(ring.at(i));
    ring.simulation.runUntil(ring.simulation.nowMs + 12_000);
    return { ring, node: ring.at(1) };
  },
  alone() {
    const ring = smallRing(1);
    return { ring, node: ring.at(0) };
  },
  'back from a restart'() {
    const ring = smallRing(4);
    ring.simulation.crash(ring.at(1));
    ring.simulation.restart(ring.at(1));
    return { ring, node: ring.at(1) };
  },
};

/** What shows that the member is where it was meant to be. */
const REACHED: Readonly<Record<string, object>> = {
  booting: { standing: 'outside' },
  'on its way in': { standing: 'joining' },
  joining: { standing: 'inside', phase: 'joining' },
  active: { standing: 'inside', phase: 'active', isInDoubt: false, successors: 3 },
  leaving: { standing: 'inside', phase: 'draining' },
  suspect: { standing: 'inside', phase: 'active', isInDoubt: true },
  alone: { standing: 'inside', phase: 'active', successors: 0 },
  'back from a restart': { standing: 'resuming' },
};

/** Self, an earlier and a later life of it, a neighbour, an earlier life of that, a stranger, and one with a taken id. */
function membersFor({ ring, node }: Case): readonly RingMember[] {
  const self = node.member;
  const neighbour = ring.nodes.find((other) => other !== node)?.member ?? self;
  const stranger: Member = { ...self, id: identifier(123_456), instanceId: 'i-stranger' };
  const all = [
    self,
    { ...self, incarnation: 0 },
    { ...self, incarnation: 9 },
    neighbour,
    { ...neighbour, incarnation: 0 },
    stranger,
    { ...neighbour, instanceId: 'i-double' },
    { ...self, instanceId: 'i-double-of-self' },
  ];
  const phases = ['active', 'left', 'joining', 'draining'] as const;
  return all.flatMap((member) => phases.map((phase) => ({ ...member, phase })));
}

function grantsFor(member: Member): readonly (GrantBounds | undefined)[] {
  return [undefined, { member, arcFrom: undefined, leaseMs: 1_000, rightMs: 5_000 }];
}

function requestsFor(about: RingMember): readonly Request[] {
  const { id } = about;
  const list = [about, about];
  return [
    { kind: 'ping' },
    { kind: 'pingVia', target: about },
    { kind: 'describe' },
    { kind: 'announce', changes: list, until: id },
    { kind: 'exchange', from: about, digests: [] },
    { kind: 'lookup', key: id, suspects: [about.instanceId, ''] },
    { kind: 'admit', from: about, fence: 1 },
    { kind: 'joinAfter', from: about, fence: 1 },
    { kind: 'activate', from: about },
    { kind: 'resume', from: about },
    { kind: 'leave', from: about, predecessor: undefined, successorList: list },
    { kind: 'askVote', from: about, about, servingDigest: 0 },
    { kind: 'revive', from: about, initiator: about },
    ...grantsFor(about).flatMap((grant): Request[] => [
      { kind: 'handOver', from: about, arcFrom: id, sequence: 9, grant },
      {
        kind: 'stabilize',
        from: about,
        notify: true,
        knownDigest: 0,
        lease: { arcFrom: id, sequence: 9, grantee: grant },
        changes: list,
        tableDigest: 0,
      },
    ]),
  ];
}

function answersFor(about: RingMember): readonly Answer[] {
  const list = [about, about];
  const pointers: readonly (Pointers | undefined)[] = [
    undefined,
    {
      predecessor: undefined,
      predecessorIsDead: false,
      successorList: list,
      arcFrom: undefined,
      isAdmitting: false,
    },
    { predecessor: about, predecessorIsDead: true, successorList: [], arcFrom: about.id, isAdmitting: true },
    {
      predecessor: about,
      predecessorIsDead: false,
      successorList: list,
      arcFrom: about.id,
      isAdmitting: false,
    },
  ];
  const leases: readonly (LeaseAnswer | undefined)[] = [
    undefined,
    { kind: 'granted' },
    { kind: 'noted' },
    { kind: 'noRight' },
    { kind: 'askOther', member: about },
    { kind: 'replaced' },
  ];
  return [
    { kind: 'pong', self: about },
    { kind: 'pinged', incarnation: undefined, refused: true },
    { kind: 'pinged', incarnation: about.incarnation, refused: false },
    { kind: 'members', members: list },
    { kind: 'mine', self: about },
    { kind: 'redirect', to: list },
    { kind: 'redirect', to: [] },
    { kind: 'admitted', predecessor: about, minimumIncarnation: 2 },
    { kind: 'refused', reason: 'notIdeal', to: about },
    { kind: 'refused', reason: 'idTaken', to: undefined },
    ...grantsFor(about).map((grant): Answer => ({ kind: 'ceded', arcFrom: about.id, grant })),
    { kind: 'pending' },
    { kind: 'askOther', member: about },
    { kind: 'replaced' },
    { kind: 'vote', consent: true, changes: list },
    { kind: 'revived', next: about, hasRight: false },
    { kind: 'done' },
    { kind: 'notReady', self: about, isResuming: true },
    ...pointers.flatMap((each) =>
      leases.map(
        (lease): Answer => ({
          kind: 'pointers',
          self: about,
          pointersDigest: 1,
          pointers: each,
          lease,
          changes: list,
          tableDigest: 0,
        }),
      ),
    ),
  ];
}

function commandsFor(about: RingMember): readonly Command[] {
  return [
    { kind: 'create' },
    { kind: 'join', contacts: [about, about] },
    { kind: 'join', contacts: [] },
    { kind: 'resume', contacts: [about] },
    { kind: 'coldStart', members: [about] },
    { kind: 'lookup', lookupId: 2, key: about.id },
    { kind: 'abandonLookup', lookupId: 1 },
    { kind: 'enter', phase: about.phase },
    { kind: 'suspect', instanceId: about.instanceId },
  ];
}

function registryAnswersFor(about: RingMember): readonly RegistryAnswer[] {
  return [
    { kind: 'members', members: [about, about] },
    { kind: 'members', members: [] },
    { kind: 'admissionGranted', fence: 3 },
    { kind: 'admissionBusy' },
    { kind: 'arbitrated', isWon: true },
    { kind: 'arbitrated', isWon: false },
    { kind: 'done' },
    { kind: 'unavailable' },
  ];
}

/** Ids of calls and requests that are open, and one that is not. */
function eventsFor(state: NodeState, about: RingMember): readonly ChordEvent[] {
  const callIds = [...state.calls.keys(), 999_999];
  const requestIds = [...state.registryRequests.keys(), 999_999];
  const answers = answersFor(about);
  return [
    { kind: 'woken' },
    { kind: 'connectionLost', instanceId: about.instanceId },
    { kind: 'takeOverChecked', checkId: 999_999 },
    ...requestsFor(about).map((request) => ({ kind: 'received', callId: 1, request }) as const),
    ...commandsFor(about).map((command) => ({ kind: 'commanded', command }) as const),
    ...callIds.flatMap((callId) => [
      ...answers.map((answer) => ({ kind: 'answered', callId, answer }) as const),
      ...(['refused', 'reset', 'timeout'] as const).map(
        (evidence) => ({ kind: 'failed', callId, evidence }) as const,
      ),
    ]),
    ...requestIds.flatMap((requestId) =>
      registryAnswersFor(about).map((answer) => ({ kind: 'registryAnswered', requestId, answer }) as const),
    ),
  ];
}

/** One step, and what it left behind. */
function offer(node: SimulatedNode, before: NodeState, event: ChordEvent, nowMs: number): NodeState {
  const { state } = step(before, event, { nowMs, random: 0.5 });
  node.state = state;
  checkPointers({ node, event, before });
  return state;
}

describe.each(Object.entries(PHASES))('5.17: a member that is %s', (phase, prepare) => {
  test('takes every message about anybody, and its pointers stay right', () => {
    const chosen = prepare();
    const { node, ring } = chosen;
    const {
      standing,
      phase: itsPhase,
      suspicions,
      pointers: { successorList },
    } = node.state;
    expect({
      standing,
      phase: itsPhase,
      isInDoubt: suspicions.size > 0,
      successors: successorList.length,
    }).toMatchObject(REACHED[phase] ?? {});
    let nowMs = node.localMs(ring.simulation.nowMs);
    const quiet = node.state;
    // Busy: it has just stabilized, read the table, and looks for a key.
    const { schedule } = quiet;
    const due = { ...quiet, schedule: { ...schedule, stabilizeAtMs: nowMs, registrySyncAtMs: nowMs } };
    const woken = offer(node, due, { kind: 'woken' }, nowMs);
    const lookup: Command = { kind: 'lookup', lookupId: 1, key: identifier(2 ** 28) };
    const busy = offer(node, woken, { kind: 'commanded', command: lookup }, nowMs);
    nowMs += 1;

    const failures: string[] = [];
    for (const state of [quiet, busy]) {
      for (const about of membersFor(chosen)) {
        for (const event of eventsFor(state, about)) {
          try {
            const after = offer(node, state, event, nowMs);
            offer(node, after, { kind: 'woken' }, nowMs + 6_000);
          } catch (error) {
            failures.push(`${JSON.stringify(event)}: ${String(error)}`);
          }
        }
      }
    }

    expect(failures).toEqual([]);
  });
});
