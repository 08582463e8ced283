/** TON 2003, V-B, figures 8 and 9: how evenly 10^6 keys lie on 10^4 members. */

import { REPLICA_COUNT } from '../../domain/file-record.ts';
import { type Identifier, identifier, RING_SIZE } from '../../domain/identifier.ts';
import { choosePosition } from '../../domain/placement.ts';
import { Dice } from '../../tests/simulation/random.ts';
import { type Distribution, distributionOf, markdownTable } from '../distribution.ts';

const MEMBER_COUNT = 10_000;
const KEY_COUNT = 1_000_000;
/** Figure 9, read off the plot: identifiers per member, and keys of the 1st and 99th percentile over the mean. */
const PAPER: readonly (readonly [virtualNodes: number, p1: number, p99: number])[] = [
  [1, 0, 4.8],
  [2, 0.08, 3.45],
  [5, 0.25, 2.2],
  [10, 0.38, 1.85],
  [20, 0.5, 1.6],
];

interface Place {
  readonly id: Identifier;
  readonly member: number;
}

/** Keys owned by each member, and copies stored by it: every key lies on its owner and the next two members. */
function keysPerMember(
  places: readonly Place[],
  dice: Dice,
): { readonly owned: number[]; readonly stored: number[] } {
  const sorted = [...places].sort((a, b) => a.id - b.id);
  const owned = new Array<number>(MEMBER_COUNT).fill(0);
  const stored = new Array<number>(MEMBER_COUNT).fill(0);
  for (let i = 0; i < KEY_COUNT; i++) {
    const first = firstAtOrAfter(sorted, dice.integer(0, RING_SIZE));
    for (let copy = 0; copy < REPLICA_COUNT; copy++) {
      const { member = 0 } = sorted[(first + copy) % sorted.length] ?? {};
      stored[member] = (stored[member] ?? 0) + 1;
      if (copy === 0) owned[member] = (owned[member] ?? 0) + 1;
    }
  }
  return { owned, stored };
}

function firstAtOrAfter(sorted: readonly Place[], key: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle]?.id ?? 0) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One member after the other, each where the control plane puts it in a ring that holds nothing yet. */
function placedByChordfs(): Place[] {
  const members: Parameters<typeof choosePosition>[0]['members'][number][] = [
    { id: identifier(RING_SIZE / 2), capacityBytes: 0, arcWeights: [] },
  ];
  while (members.length < MEMBER_COUNT) {
    const id = choosePosition({ members });
    if (id === undefined) throw new Error('no arc is wide enough');
    // In order, so that sorting them again costs little.
    const after = members.findIndex((member) => member.id > id);
    members.splice(after < 0 ? members.length : after, 0, { id, capacityBytes: 0, arcWeights: [] });
  }
  return members.map(({ id }, member) => ({ id, member }));
}

function hashed(virtualNodes: number, dice: Dice): Place[] {
  return Array.from({ length: virtualNodes * MEMBER_COUNT }, (_, i) => ({
    id: identifier(dice.integer(0, RING_SIZE)),
    member: i % MEMBER_COUNT,
  }));
}

export function load({ seed }: { readonly seed: number }): {
  readonly table: string;
  readonly isAsGood: boolean;
} {
  const dice = new Dice(seed);
  const ours = keysPerMember(placedByChordfs(), dice);
  const owned = distributionOf(ours.owned);
  const stored = distributionOf(ours.stored);
  const relative = (value: number, { mean }: Distribution) => (value / mean).toFixed(2);
  const rows = PAPER.map(([virtualNodes, p1, p99]) => {
    const published = distributionOf(keysPerMember(hashed(virtualNodes, dice), dice).owned);
    return [
      String(virtualNodes),
      `${p1.toFixed(2)} / ${p99.toFixed(2)}`,
      `${relative(published.p1, published)} / ${relative(published.p99, published)} / ${relative(published.most, published)}`,
      `${relative(owned.p1, owned)} / ${relative(owned.p99, owned)} / ${relative(owned.most, owned)}`,
      `${relative(stored.p1, stored)} / ${relative(stored.p99, stored)} / ${relative(stored.most, stored)}`,
    ];
  });
  const heads = [
    'ids per member',
    'paper, figure 9: p1 / p99 over mean',
    'hashed ids, here: p1 / p99 / most',
    'chordfs, one id each, keys owned: p1 / p99 / most',
    'chordfs, copies stored (three of each key)',
  ];
  return {
    table: markdownTable(heads, rows),
    isAsGood: PAPER.every(([, , p99]) => owned.p99 / owned.mean <= p99),
  };
}
