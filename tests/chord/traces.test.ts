/**
 * The counterexamples to Chord as published, event by event, through the real step function: the protocol must not
 * reach their end states, and the rules without its corrections must go wrong on the same events.
 * Sources: Zave, "Using lightweight modeling to understand Chord" (Z1-Z7), and our own model checking (Z8-Z10).
 */
import { describe, expect, test } from 'vitest';
import type { Corrections } from '../../node/chord/config.ts';
import { runTrace, type Trace } from './trace.ts';

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
  // Here a newcomer asks the member after its place to let it in, so it cannot adopt a dead one even as published.
  [
    'Z4 ConnectedAppendages: a newcomer adopts a dead successor',
    { ids: IDS, start: 6, events: 'J12 S12 S6 R6 F12 J10 U6' },
    undefined,
  ],
  [
    'Z5 AtLeastOneRing: a dead predecessor is adopted as successor',
    { ids: IDS, start: 6, events: 'J12 S12 S6 J10 S10 F10 S6 L12' },
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
    undefined,
  ],
  [
    'Z9: a newcomer copies a list that contains itself',
    { ids: [10, 20, 30], start: 10, events: 'J20 J30 S30 S10 S10 S20 F30 J30 F10 S30 J10' },
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
