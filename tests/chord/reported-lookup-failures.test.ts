/** As `reported-failures.test.ts`: what has gone wrong elsewhere with lookups, joins and members that come back. */
import { describe, expect, test } from 'vitest';
import { clockwiseDistance, identifier } from '../../domain/identifier.ts';
import type { Corrections } from '../../node/chord/config.ts';
import type { ChordEffect } from '../../node/chord/event.ts';
import type { Answer, Request } from '../../node/chord/message.ts';
import { createNode, step } from '../../node/chord/step.ts';
import { flaw, insideById, rightOwner } from '../simulation/oracle.ts';
import type { SimulatedNode } from '../simulation/simulated-node.ts';
import { untilAllRight } from '../simulation/until-right.ts';
import { NEVER, type SmallRing, smallRing, untilIdeal } from './small-ring.ts';

const BY_FINGERS = { memberTable: false } as const;

function answersOf(effects: readonly ChordEffect[]): readonly Answer[] {
  return effects.flatMap((effect) => (effect.kind === 'answer' ? [effect.answer] : []));
}

function ask({ simulation }: SmallRing, node: SimulatedNode, request: Request): readonly Answer[] {
  const instant = { nowMs: node.localMs(simulation.nowMs), random: 0.5 };
  return answersOf(step(node.state, { kind: 'received', callId: 1, request }, instant).effects);
}

describe('5.10: the same id joins twice', () => {
  test('another machine with an id that is taken is not let in, and nobody minds', () => {
    const { simulation, at } = smallRing(4);
    const impostor = simulation.addNode(at(2).member.id, 'i-impostor');
    simulation.join(impostor);

    simulation.runUntil(simulation.nowMs + 30_000);

    expect(impostor.isInside).toBe(false);
    simulation.crash(impostor);
    simulation.registry.remove(impostor.member);
    expect(untilIdeal(simulation)).toBeLessThan(30_000);
    expect(insideById(simulation).map(({ member }) => member.instanceId)).toEqual([
      'i-0',
      'i-1',
      'i-2',
      'i-3',
    ]);
  });

  test.each([10, 500, 5_000, 60_000])('the same machine back after %i ms has its place again', (awayMs) => {
    const { simulation, at } = smallRing(4);
    simulation.crash(at(2));
    simulation.runUntil(simulation.nowMs + awayMs);
    simulation.restart(at(2));

    expect(untilIdeal(simulation)).toBeLessThan(30_000);
    expect(insideById(simulation)).toHaveLength(4);
  });
});

describe('5.12: members that name the same ones over and over', () => {
  /** Every member that is asked names all others, the asker among them. Distances from the asker, in order. */
  function walk(without: readonly (keyof Corrections)[]) {
    const ring = smallRing(16, { without });
    const node = ring.at(0);
    const key = identifier(ring.at(9).member.id - 1);
    const all = ring.nodes.map(({ member }) => ({ ...member, phase: 'active' as const }));
    let nowMs = node.localMs(ring.simulation.nowMs);
    let current = step(
      node.state,
      { kind: 'commanded', command: { kind: 'lookup', lookupId: 1, key } },
      { nowMs, random: 0.5 },
    );
    const asked: number[] = [];
    for (let i = 0; i < 10_000; i++) {
      if (current.effects.some(({ kind }) => kind === 'lookupEnded'))
        return { asked, key, self: node.member.id };
      const call = current.effects.find(
        (effect) => effect.kind === 'call' && effect.request.kind === 'lookup',
      );
      nowMs += 1;
      if (call?.kind === 'call') {
        asked.push(clockwiseDistance(node.member.id, call.to.id));
        const answer = { kind: 'redirect', to: all } as const;
        current = step(
          current.state,
          { kind: 'answered', callId: call.callId, answer },
          { nowMs, random: 0.5 },
        );
      } else current = step(current.state, { kind: 'woken' }, { nowMs, random: 0.5 });
    }
    throw new Error('a lookup without end');
  }

  test('end within the budget of hops, and never lead back to the asker', () => {
    const { asked } = walk([]);

    expect(asked.length).toBeLessThanOrEqual(40);
    expect(asked).not.toContain(0);
  });

  test('are asked only while each is strictly closer to the key', () => {
    const { asked, key, self } = walk([]);
    const keyAt = clockwiseDistance(self, key);
    const firstRound = asked.slice(0, 3);

    let [after, before] = [0, 2 ** 32];
    for (const at of firstRound) {
      expect(at > after && at < before).toBe(true);
      if (at < keyAt) after = at;
      else before = at;
    }
  });

  test('would be asked all alike without that rule', () => {
    expect(new Set(walk(['closerHops']).asked).size).toBeGreaterThan(new Set(walk([]).asked).size);
  });
});

describe('5.13: a member on the way that dies while it is asked', () => {
  test.each([1, 2, 3, 4, 5])('costs no lookup, by fingers alone (seed %i)', (seed) => {
    const ring = smallRing(24, { config: BY_FINGERS, seed });
    const { simulation, at } = ring;
    const key = ring.keyOf(17);
    const lookupId = simulation.lookup(at(0), key);
    const [call] = [...at(0).state.calls.values()].filter(({ purpose }) => purpose.kind === 'lookup');
    const asked = ring.nodes.find(({ member }) => member.instanceId === call?.to.instanceId);
    if (asked === undefined) throw new Error('nobody was asked');
    simulation.crash(asked);

    simulation.runUntil(simulation.nowMs + 10_000);

    expect(simulation.lookups.get(lookupId)).toMatchObject({
      kind: 'found',
      owner: { instanceId: rightOwner(simulation, key)?.member.instanceId },
    });
  });
});

describe('5.14: a member on the way that says nothing', () => {
  test.each([true, false])('is given up after half a second at most (member table: %s)', (memberTable) => {
    const ring = smallRing(24, { config: { memberTable } });
    const { simulation, nodes, at } = ring;
    // Everybody but the asker, the owner, and those after it.
    for (const node of nodes.slice(1, 8)) simulation.freeze(node);
    const key = ring.keyOf(12);
    const fromMs = simulation.nowMs;
    const lookupId = simulation.lookup(at(0), key);

    simulation.runUntilTrue(() => simulation.lookups.has(lookupId), 20_000, 10);

    const outcome = simulation.lookups.get(lookupId);
    expect(outcome).toMatchObject({ kind: 'found', owner: { instanceId: at(12).member.instanceId } });
    const allowedMs = ((outcome?.timeouts ?? 0) + 1) * simulation.config.maxTimeoutMs;
    expect(simulation.nowMs - fromMs).toBeLessThanOrEqual(allowedMs);
  });
});

describe('5.18: a newcomer whose first contact is', () => {
  test.each(['dead', 'itself', 'joining', 'silent'] as const)('%s finds its way in', (what) => {
    const { simulation, at } = smallRing(4);
    const newcomer = simulation.addNode(identifier(7), 'i-newcomer');
    const joining = simulation.addNode(identifier(9), 'i-joining');
    simulation.start(joining);
    simulation.start(newcomer);
    const contact = { dead: at(1), itself: newcomer, joining, silent: at(1) }[what];
    if (what === 'dead') simulation.crash(at(1));
    if (what === 'silent') simulation.freeze(at(1));
    simulation.registry.write(newcomer.member, 'joining');

    simulation.command(newcomer, { kind: 'join', contacts: [contact.member] });

    expect(simulation.runUntilTrue(() => newcomer.isServing, 60_000)).toBe(true);
  });
});

describe('5.19: a member that is not ready', () => {
  test('answers every question with that, before it is in a ring', () => {
    const ring = smallRing(3);
    const self = ring.simulation.addNode(identifier(7), 'i-newcomer');
    self.state = createNode(self.member, ring.simulation.config);
    const from = { ...ring.at(0).member, phase: 'active' as const };
    const requests: readonly Request[] = [
      { kind: 'describe' },
      { kind: 'lookup', key: identifier(7), suspects: [] },
      { kind: 'admit', from, fence: 1 },
      { kind: 'joinAfter', from, fence: 1 },
      { kind: 'activate', from },
      { kind: 'askVote', from, about: from, servingDigest: 0 },
      { kind: 'leave', from, predecessor: undefined, successorList: [] },
      { kind: 'announce', changes: [from], until: identifier(1) },
    ];

    for (const request of requests) {
      expect(ask(ring, self, request)).toMatchObject([{ kind: 'notReady' }]);
    }
  });

  /** Whether a newcomer says "mine" for its place before it holds the records of it. */
  function speaksTooSoon(without: readonly (keyof Corrections)[]): boolean {
    const ring = smallRing(4, { without });
    const newcomer = ring.simulation.addNode(identifier(7), 'i-newcomer');
    ring.simulation.join(newcomer);
    return ring.simulation.runUntilTrue(
      () =>
        newcomer.isInside &&
        newcomer.state.phase === 'joining' &&
        ask(ring, newcomer, { kind: 'lookup', key: identifier(7), suspects: [] })[0]?.kind === 'mine',
      5_000,
      5,
    );
  }

  test('says "mine" for nothing while it still pulls its records', () => {
    expect(speaksTooSoon([])).toBe(false);
  });

  function untilTheNewcomerIsIn(without: readonly (keyof Corrections)[]): number {
    const { simulation } = smallRing(4, { without });
    simulation.join(simulation.addNode(identifier(7), 'i-newcomer'));
    return untilIdeal(simulation);
  }

  test('is given its arc by the member after it, and then the ring is ideal', () => {
    expect(untilTheNewcomerIsIn([])).toBeLessThan(20_000);
  });

  test('would own it beside that one for ever if it did not wait for that', () => {
    expect(untilTheNewcomerIsIn(['ownershipAfterData'])).toBe(NEVER);
  });
});

describe('5.23: an earlier life of a member', () => {
  function answerToEarlierLife(without: readonly (keyof Corrections)[]): readonly Answer[] {
    const ring = smallRing(4, { without });
    const { simulation, at } = ring;
    const earlier = { ...at(1).member, phase: 'active' as const };
    simulation.crash(at(1));
    simulation.runUntil(simulation.nowMs + 10_000);
    simulation.restart(at(1));
    simulation.runUntil(simulation.nowMs + 20_000);
    return ask(ring, at(2), {
      kind: 'stabilize',
      from: earlier,
      notify: true,
      knownDigest: 0,
      lease: undefined,
      changes: [earlier],
      tableDigest: 0,
    });
  }

  test('is told that it is over, and changes nothing', () => {
    expect(answerToEarlierLife([])).toMatchObject([{ kind: 'pointers', lease: { kind: 'replaced' } }]);
  });

  test('would be taken for the present one without incarnations', () => {
    expect(answerToEarlierLife(['incarnations'])).not.toMatchObject([{ lease: { kind: 'replaced' } }]);
  });
});

test('5.24: with one of twelve silent, the keys of the others are found as fast as ever', () => {
  const ring = smallRing(12);
  const { simulation, nodes, at } = ring;
  simulation.freeze(at(4));
  const askers = nodes.filter((node) => node !== at(4));
  const lookups = askers.flatMap((by) =>
    askers.map(({ member }) => simulation.lookup(by, identifier(member.id - 1))),
  );

  simulation.runUntil(simulation.nowMs + 100);

  const found = lookups.filter((lookupId) => simulation.lookups.get(lookupId)?.kind === 'found');
  // The lease of the one before the silent member may have to be renewed by somebody else first.
  expect(lookups.length - found.length).toBeLessThanOrEqual(askers.length);
});

test('5.26: ids at the ends of the circle, and keys that are ids', () => {
  const ids = [0, 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1].map(identifier);
  const { simulation } = smallRing(0, { ids });
  const keys = ids.flatMap((id) => [-1, 0, 1].map((by) => identifier((id + by) >>> 0)));

  expect(untilAllRight(simulation, { keys, limitMs: 5_000 })).toBeLessThan(5_000);
});

describe('5.30: a member that was replaced while it stood still', () => {
  function whatItSays(without: readonly (keyof Corrections)[]): readonly Answer[] {
    const ring = smallRing(3, { without });
    const { simulation, at } = ring;
    simulation.freeze(at(1));
    simulation.runUntil(simulation.nowMs + 15_000);
    return ask(ring, at(1), { kind: 'lookup', key: at(1).member.id, suspects: [] });
  }

  test('does not speak for its arc when it wakes up', () => {
    expect(whatItSays([]).filter(({ kind }) => kind === 'mine')).toEqual([]);
  });

  test('would, without leases', () => {
    expect(whatItSays(['leases'])).toMatchObject([{ kind: 'mine' }]);
  });
});

describe('5.31: a member that is slow', () => {
  function replacedAfter(pauseMs: number, without: readonly (keyof Corrections)[]): number {
    const { simulation, at } = smallRing(5, { without });
    simulation.freeze(at(2));
    simulation.runUntil(simulation.nowMs + pauseMs);
    simulation.thaw(at(2));
    simulation.runUntil(simulation.nowMs + 30_000);
    expect(flaw(simulation)).toBeUndefined();
    return simulation.counts.replaced;
  }

  test.each([300, 700, 1_500])('keeps its place through a pause of %i ms', (pauseMs) => {
    expect(replacedAfter(pauseMs, [])).toBe(0);
  });

  test('gives its place up for a while when the pause outlasts its lease, and has it back', () => {
    expect(replacedAfter(8_000, [])).toBeLessThanOrEqual(1);
  });
});
