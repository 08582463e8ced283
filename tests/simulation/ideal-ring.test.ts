import { expect, test } from 'vitest';
import { identifier } from '../../domain/identifier.ts';
import { type ChordConfig, DEFAULT_CONFIG } from '../../node/chord/config.ts';
import { placeIdealRing } from './ideal-ring.ts';
import { checkInvariants } from './invariants.ts';
import { flaw, rightOwner } from './oracle.ts';
import { Simulation } from './simulation.ts';

const IDS = Array.from({ length: 40 }, (_, i) => identifier(Math.imul(i + 1, 0x9e3779b1)));

function idealRing(config: ChordConfig): Simulation {
  const simulation = new Simulation({ seed: 7, config, observe: checkInvariants });
  placeIdealRing(simulation, { ids: IDS, isMaintained: true });
  return simulation;
}

test('a ring put together is one that the protocol leaves as it is', () => {
  const simulation = idealRing(DEFAULT_CONFIG);
  expect(flaw(simulation)).toBeUndefined();
  const before = [...simulation.nodes.values()].map(({ state }) => state);

  simulation.runUntil(60_000);

  expect(flaw(simulation)).toBeUndefined();
  for (const [i, { state }] of [...simulation.nodes.values()].entries()) {
    expect(state.pointers).toEqual(before[i]?.pointers);
    expect(state.custody.sequence).toBe(before[i]?.custody.sequence);
    expect(state.custody.arcFrom).toBe(before[i]?.custody.arcFrom);
    expect(state.table.digest).toBe(before[i]?.table.digest);
  }
});

test('its fingers are those that fix_fingers finds', () => {
  const simulation = idealRing({ ...DEFAULT_CONFIG, memberTable: false });
  const ideal = [...simulation.nodes.values()].map(({ state }) => state.fingers.members);
  for (const node of simulation.nodes.values()) {
    node.state = { ...node.state, fingers: { members: [], next: 0 } };
  }

  simulation.runUntil(150_000);

  for (const [i, { state }] of [...simulation.nodes.values()].entries()) {
    const found = state.fingers.members.map(({ slot, member }) => `${slot} ${member.instanceId}`);
    expect(found.sort()).toEqual(ideal[i]?.map(({ slot, member }) => `${slot} ${member.instanceId}`).sort());
  }
});

test.each([
  ['with the member table', true],
  ['by fingers alone', false],
])('every key is found from everywhere %s', (_, memberTable) => {
  const simulation = idealRing({ ...DEFAULT_CONFIG, memberTable });
  const asked = [...simulation.nodes.values()].flatMap((node) =>
    Array.from({ length: 5 }, () => {
      const key = simulation.randomId();
      return { key, lookupId: simulation.lookup(node, key) };
    }),
  );

  simulation.runUntil(5_000);

  for (const { key, lookupId } of asked) {
    const outcome = simulation.lookups.get(lookupId);
    expect(outcome).toMatchObject({
      kind: 'found',
      owner: { instanceId: rightOwner(simulation, key)?.member.instanceId },
      timeouts: 0,
    });
  }
});
