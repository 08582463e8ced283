/** The small part of `npm run campaign:explorer`; what it leaves out of the protocol is told in explorer-world.ts. */
import { describe, expect, test } from 'vitest';
import { ALL_CORRECTIONS, type Corrections } from '../../node/chord/config.ts';
import { explore } from './explorer.ts';

const SOUND = { noRing: 0, twoRings: 0, disordered: 0, stranded: 0, unhealed: 0, isCutOff: false };

/** Joins at any time, and nobody to ask: the rules as published. */
const PUBLISHED: Partial<Corrections> = {
  serialAdmission: false,
  registryFallback: false,
  registryResync: false,
  truncateAtSelf: false,
  incarnations: false,
};

function exploreThree(taken: Partial<Corrections>) {
  const corrections = { ...ALL_CORRECTIONS, ...taken };
  return explore({ idCount: 3, successorListLength: 2, corrections }, { maxStates: 30_000, healEvery: 3 });
}

describe('every interleaving of joins, crashes and rejoins', () => {
  test.each([
    [3, 2],
    [4, 2],
  ])('keeps one ordered ring that heals, with %i ids and lists of %i', (idCount, successorListLength) => {
    const model = { idCount, successorListLength, corrections: ALL_CORRECTIONS };

    const found = explore(model, { maxStates: 30_000 });

    expect(found).toMatchObject(SOUND);
    expect(found.states).toBeGreaterThan(200);
  });

  test('splits the ring by the rules of 2001', () => {
    const found = exploreThree({
      ...PUBLISHED,
      contactBeforeAdopt: false,
      wholeLists: false,
      keepDeadPredecessor: false,
    });

    expect(found.twoRings).toBeGreaterThan(0);
    expect(found.stranded).toBeGreaterThan(0);
    expect(found.unhealed).toBeGreaterThan(0);
  });

  test('splits the ring by the corrected rules below their base of r + 1 members', () => {
    const found = exploreThree(PUBLISHED);

    expect(found.twoRings).toBeGreaterThan(0);
    expect(found.disordered).toBeGreaterThan(0);
  });

  test('leaves states that never heal when joins come at any time and the table is not read again', () => {
    expect(exploreThree({ serialAdmission: false, registryResync: false }).unhealed).toBeGreaterThan(0);
  });

  test('leaves a member alone when it has no table to fall back on', () => {
    const found = exploreThree({ registryFallback: false, registryResync: false });

    expect(found.twoRings + found.noRing).toBeGreaterThan(0);
  });

  test('leaves states that never heal when lists are not adopted whole', () => {
    expect(exploreThree({ wholeLists: false }).unhealed).toBeGreaterThan(0);
  });
});
