/**
 * The counterexamples to Chord as published, event by event, through the real step function: the protocol must not
 * reach their end states, and the rules without its corrections must go wrong on the same events.
 * Sources: Zave, "Using lightweight modeling to understand Chord" (Z1-Z7), and our own model checking (Z8-Z10).
 */
import { describe, expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import type { Member } from '../../domain/member.ts';
import { ALL_CORRECTIONS, type Corrections, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import type { ChordEffect } from '../../node/chord/event.ts';
import type { Answer } from '../../node/chord/message.ts';
import { createNode, type NodeState, type Step, step } from '../../node/chord/step.ts';
import { runTrace, type Trace } from './trace.ts';

type CallEffect = Extract<ChordEffect, { readonly kind: 'call' }>;

const IDS = [6, 10, 12, 45];

/** Joins at any time, and nobody to ask. */
const NOBODY_TO_ASK: Partial<Corrections> = {
  serialAdmission: false,
  registryFallback: false,
  registryResync: false,
};
const RULES_OF_2001: Partial<Corrections> = {
  ...NOBODY_TO_ASK,
  contactBeforeAdopt: false,
  wholeLists: false,
  incarnations: false,
  truncateAtSelf: false,
  keepDeadPredecessor: false,
};

const TRACES: readonly (readonly [name: string, trace: Trace, broken: Partial<Corrections> | undefined])[] = [
  [
    'Z1 OrderedMerges: an appendage stays behind its place',
    { ids: IDS, start: 6, events: 'J45 S45 S6 J10 J12 S10 S12 S6' },
    RULES_OF_2001,
  ],
  [
    'Z2 OrderedAppendages: an appendage is out of order after a crash',
    { ids: IDS, start: 6, events: 'J10 J12 J45 S12 S6 S45 S10 R12 R45 F6 U12 U45 L45 S45' },
    RULES_OF_2001,
  ],
  [
    'Z3 ValidSuccessorList: a list skips a living member',
    { ids: IDS, start: 6, events: 'J12 S12 S6 J10 R10 J45 S45 S12 R6 S10 S6 F12 U10' },
    RULES_OF_2001,
  ],
  // A newcomer asks the member after its place to let it in, so it cannot adopt a dead one: below, step by step.
  [
    'Z4 ConnectedAppendages: a newcomer adopts a dead successor',
    { ids: IDS, start: 6, events: 'J12 S12 S6 R6 F12 J10 U6' },
    undefined,
  ],
  [
    'Z5 AtLeastOneRing: a dead predecessor is adopted as successor',
    { ids: IDS, start: 6, events: 'J12 S12 S6 J10 S10 F10 S6 L12' },
    // Below, step by step: in a whole round the dead one is found out at once, and the list has another.
    undefined,
  ],
  [
    'Z6 AtMostOneRing: two members are left alone with themselves',
    { ids: IDS, start: 6, events: 'J12 S12 S6 R6 R12 J10 S10 S6 J45 S45 S12 F10 F45 U6 U12' },
    RULES_OF_2001,
  ],
  // As Z6 with a ring of three and three joiners.
  [
    'Z7 OrderedRing: the ring winds twice round the circle',
    {
      ids: [6, 10, 12, 20, 45, 50],
      start: 6,
      events: 'J12 S12 S6 J45 S45 S12 S6 S45 S12 J10 S10 S6 J20 S20 S12 J50 S50 S45 F10 F20 F50 S6 S12 S45',
    },
    RULES_OF_2001,
  ],
  [
    'Z8: the same id comes back while pointers to its old life exist',
    { ids: [10, 20, 30], start: 10, events: 'J20 J30 S30 S20 F20 J20 S10 R30 S10 R20' },
    { serialAdmission: false, registryResync: false, incarnations: false, rectifyChecks: false },
  ],
  [
    'Z9: a newcomer copies a list that contains itself',
    { ids: [10, 20, 30], start: 10, events: 'J20 J30 S30 S10 S10 S20 F30 J30 F10 S30 J10' },
    // Below: the list that contains itself is there at once, and is wrong by itself.
    undefined,
  ],
  [
    'Z10: four boot at once and the only one that knew all of them dies',
    { ids: [5, 10, 20, 30], start: 5, events: 'J10 J20 J30 S10 S20 S30 S5 S5 F5' },
    NOBODY_TO_ASK,
  ],
];

describe.each(TRACES)('%s', (_name, trace, broken) => {
  test('does not happen, and what is left heals', () => {
    const end = runTrace(trace);

    expect(end.flaws).toEqual([]);
    expect(end.heals).toBe(true);
  });

  if (broken !== undefined) {
    test('never heals when its corrections are taken out', () => {
      expect(runTrace(trace, broken).heals).toBe(false);
    });
  }
});

test('Z9: without the cut at self, lists contain their owner from the first joins on', () => {
  const [, trace] = TRACES.find(([name]) => name.startsWith('Z9')) ?? [];
  if (trace === undefined) throw new Error('Z9 is not there');

  expect(runTrace(trace).flaws).toEqual([]);
  expect(runTrace(trace, { truncateAtSelf: false }).flaws).not.toEqual([]);
});

/** Member 10 between 6 and 12, of whom 12 is dead; nothing else is known to anybody. */
describe('Z4, step by step: a newcomer whose place lies before a dead member', () => {
  const [six, ten, twelve] = [memberAt(6), memberAt(10), memberAt(12)];
  const config = { ...DEFAULT_CONFIG, memberTable: false, registry: false, successorListLength: 2 };
  const instant = { nowMs: 1_000, random: 0.5 };
  /** What 6 answers: its list is the dead 12 alone. */
  const listOfSix: Answer = {
    kind: 'pointers',
    self: { ...six, phase: 'active' },
    pointersDigest: 1,
    pointers: {
      predecessor: twelve,
      predecessorIsDead: false,
      successorList: [twelve],
      arcFrom: undefined,
      isAdmitting: false,
    },
    lease: undefined,
    changes: [],
    tableDigest: 0,
  };

  function sixNamesTwelve(): { readonly state: NodeState; readonly calls: readonly CallEffect[] } {
    const joined = step(
      createNode(ten, config),
      { kind: 'commanded', command: { kind: 'join', contacts: [six] } },
      instant,
    );
    const [asked] = callsOf(joined.effects);
    const answer: Answer = { kind: 'redirect', to: [{ ...twelve, phase: 'active' }] };
    const next = step(joined.state, { kind: 'answered', callId: asked?.callId ?? 0, answer }, instant);
    return { state: next.state, calls: callsOf(next.effects) };
  }

  test('asks it first, and without its answer stays outside', () => {
    const { state, calls } = sixNamesTwelve();
    expect(calls.map(({ to }) => to.id)).toEqual([12]);

    const failed = { kind: 'failed', callId: calls[0]?.callId ?? 0, evidence: 'refused' } as const;
    const after = step(state, failed, instant).state;

    expect(after.standing).toBe('joining');
    expect(after.pointers.successorList).toEqual([]);
  });

  test('would come in with nobody but the dead one if 6 alone could let it in', () => {
    const { state } = sixNamesTwelve();
    if (state.join === undefined) throw new Error('it has given up');
    // As though 12 had admitted it.
    const admitted = { ...state, join: { ...state.join, step: 'joinAfter' as const, predecessor: six } };
    const callId = 99;
    const pending = {
      to: six,
      request: { kind: 'joinAfter', from: ten, fence: 0 } as const,
      sentAtMs: 1_000,
      purpose: { kind: 'join', attempt: state.join.attempt } as const,
    };
    const waiting = { ...admitted, calls: new Map([[callId, pending]]) };

    const { pointers, standing } = step(
      waiting,
      { kind: 'answered', callId, answer: listOfSix },
      instant,
    ).state;

    expect(standing).toBe('inside');
    expect(pointers.successorList).toEqual([twelve]);
  });
});

describe('Z5, step by step: the successor names a predecessor that is dead', () => {
  const [six, ten, twelve] = [memberAt(6), memberAt(10), memberAt(12)];
  const instant = { nowMs: 1_000, random: 0.5 };

  /** 6 asks its successor 12, whose predecessor is 10. */
  function afterTheAnswer(contactBeforeAdopt: boolean): Step {
    const corrections = { ...ALL_CORRECTIONS, contactBeforeAdopt };
    const config = { ...DEFAULT_CONFIG, memberTable: false, successorListLength: 1, corrections };
    const outside = createNode(six, config);
    const inside: NodeState = {
      ...outside,
      schedule: { ...outside.schedule, stabilizeAtMs: instant.nowMs },
      standing: 'inside',
      phase: 'active',
      pointers: { predecessor: twelve, predecessorIsDead: false, successorList: [twelve] },
    };
    const woken = step(inside, { kind: 'woken' }, instant);
    const asked = callsOf(woken.effects).find(({ request }) => request.kind === 'stabilize');
    const answer: Answer = {
      kind: 'pointers',
      self: { ...twelve, phase: 'active' },
      pointersDigest: 1,
      pointers: {
        predecessor: ten,
        predecessorIsDead: false,
        successorList: [six],
        arcFrom: undefined,
        isAdmitting: false,
      },
      lease: undefined,
      changes: [],
      tableDigest: 0,
    };
    return step(woken.state, { kind: 'answered', callId: asked?.callId ?? 0, answer }, instant);
  }

  test('it is asked before it is adopted, and the one that answered is kept meanwhile', () => {
    const { state, effects } = afterTheAnswer(true);

    expect(state.pointers.successorList).toEqual([twelve]);
    expect(callsOf(effects).map(({ to }) => to.id)).toEqual([10]);
  });

  test('adopted unseen it would be the only successor, and nobody lives there', () => {
    expect(afterTheAnswer(false).state.pointers.successorList).toEqual([ten]);
  });
});

function callsOf(effects: Step['effects']): readonly CallEffect[] {
  return effects.flatMap((effect) => (effect.kind === 'call' ? [effect] : []));
}

function memberAt(id: number): Member {
  return {
    id: identifier(id),
    instanceId: `i-${id}`,
    incarnation: 1,
    privateIp: '',
    publicIp: '',
    chordPort: 0,
    httpPort: 0,
    availabilityZone: '',
  };
}
