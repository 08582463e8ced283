import { beforeEach, describe, expect, test } from 'vitest';
import { type ClaimOptions, claimPlace, positionKey, recheckPlace } from '../../domain/assignment.ts';
import { clockwiseDistance, formatIdentifier, type Identifier } from '../../domain/identifier.ts';
import type { MemberRecord } from '../../domain/member-record.ts';
import { OUTBOX } from '../../domain/scaling-log.ts';
import { type ItemStore, POSITION_PREFIX, ringPartition } from '../../domain/table-writes.ts';
import { TestPlane } from './test-plane.ts';

let plane: TestPlane;
beforeEach(async () => {
  plane = new TestPlane();
  await plane.putRing();
});

/** Six members whose arcs hold these shares of a volume, as they report themselves. */
async function ringHolds(ownPercents: readonly number[]): Promise<void> {
  for (const [i, ownPercent] of ownPercents.entries())
    await plane.putMember(`i-${i + 1}`, { usedPercent: 50, ownPercent });
  await plane.reportRing();
}

const BYTES_IN_THE_FIRST_HALF = [5, 30, 30, 30, 5, 5];
const BYTES_IN_THE_SECOND_HALF = [5, 5, 5, 30, 30, 30];

function optionsOf(instanceId: string): ClaimOptions {
  const { store, stage, timing } = plane;
  return {
    ...{ store, stage, timing, now: () => plane.nowMs, newRingId: () => 'another ring' },
    instance: { instanceId, privateIp: '127.25.0.9', publicIp: '127.25.1.9', availabilityZone: '' },
    ...{ source: 'chordfs.node', cause: 'a better place at admission', correlationId: instanceId },
  };
}

async function claim(instanceId: string): Promise<Identifier> {
  const result = await claimPlace(optionsOf(instanceId));
  if (result.kind !== 'assigned') throw new Error(`${instanceId}: ${result.kind}`);
  return result.position;
}

/** Who has claimed which position, as the table has it. */
async function claims(): Promise<readonly string[]> {
  const rows = await plane.store.list(ringPartition(plane.stage), POSITION_PREFIX);
  return rows.map(({ sk, instanceId }) => `${String(sk).slice(POSITION_PREFIX.length)} ${instanceId}`);
}

describe('given a newcomer that was given its place when it launched', () => {
  test('its place is kept at admission as long as it still relieves the fullest, and nothing is written', async () => {
    await ringHolds(BYTES_IN_THE_FIRST_HALF);
    const position = await claim('i-9');
    const before = await plane.store.list(ringPartition(plane.stage), '');

    expect(await recheckPlace(optionsOf('i-9'))).toBe('kept');

    expect(await plane.store.list(ringPartition(plane.stage), '')).toEqual(before);
    expect((await plane.member('i-9'))?.position).toBe(position);
  });

  test('when the bytes have moved meanwhile it gives the place back and takes the best one there is now', async () => {
    await ringHolds(BYTES_IN_THE_FIRST_HALF);
    const first = await claim('i-9');
    await ringHolds(BYTES_IN_THE_SECOND_HALF);

    const result = await recheckPlace(optionsOf('i-9'));

    const second = (await plane.member('i-9'))?.position;
    expect(result).toMatchObject({ kind: 'assigned', role: 'joiner', position: second });
    expect(second).not.toBe(first);
    // As if it had launched only now.
    expect(await claims()).toEqual([`${formatIdentifier(second ?? first)} i-9`]);
    expect(await plane.store.get(positionKey(plane.stage, first))).toBeUndefined();
    expect(await claimOnFreshRing(BYTES_IN_THE_SECOND_HALF)).toBe(second);
    const told = (await plane.store.list(ringPartition(plane.stage), 'NODE#i-9'))[0]?.[OUTBOX];
    expect(JSON.stringify(told)).toContain('a better place at admission');
  });

  test('once it is being admitted it is not sent elsewhere any more', async () => {
    await ringHolds(BYTES_IN_THE_FIRST_HALF);
    await ringHolds(BYTES_IN_THE_SECOND_HALF);
    await plane.putMember('i-7', { state: 'JOINING' });

    expect(await recheckPlace(optionsOf('i-7'))).toBe('kept');
  });
});

/** Where a newcomer would go in a ring of its own with these bytes. */
async function claimOnFreshRing(ownPercents: readonly number[]): Promise<Identifier> {
  plane = new TestPlane();
  await plane.putRing();
  await ringHolds(ownPercents);
  return await claim('i-9');
}

describe('given several newcomers at once', () => {
  const NEWCOMERS = ['i-10', 'i-11', 'i-12', 'i-13', 'i-14'];

  function positionsOf(members: readonly MemberRecord[]): Identifier[] {
    return members.flatMap(({ instanceId, position }) =>
      NEWCOMERS.includes(instanceId) && position !== undefined ? [position] : [],
    );
  }

  async function placesOneAfterAnother(
    ownPercents: readonly number[],
    newcomers: readonly string[],
  ): Promise<readonly Identifier[]> {
    plane = new TestPlane();
    await plane.putRing();
    await ringHolds(ownPercents);
    for (const id of newcomers) await claim(id);
    return positionsOf(await plane.members());
  }

  test('each sees the claims before its own: together they take the places they would take one after another', async () => {
    await ringHolds(BYTES_IN_THE_FIRST_HALF);

    await Promise.all(NEWCOMERS.map(claim));

    const together = positionsOf(await plane.members()).sort((a, b) => a - b);
    const inTurn = [...(await placesOneAfterAnother(BYTES_IN_THE_FIRST_HALF, NEWCOMERS))];
    expect(together).toEqual(inTurn.sort((a, b) => a - b));
  });

  test('one that decided on what was so before another claimed decides again: it stands where it would have come second', async () => {
    await ringHolds(BYTES_IN_THE_FIRST_HALF);
    const { store } = plane;
    let isFirstWrite = true;
    const slightlyOther = [5, 28, 31, 32, 5, 5];
    // What it has read is overtaken while its decision is on its way: by a report, and by another newcomer.
    const overtaken: ItemStore = {
      get: (key) => store.get(key),
      list: (pk, prefix) => store.list(pk, prefix),
      write: async (write) => {
        if (isFirstWrite && write.key.sk === 'META') {
          isFirstWrite = false;
          await ringHolds(slightlyOther);
          await claim('i-11');
        }
        return await store.write(write);
      },
    };
    await claimPlace({ ...optionsOf('i-10'), store: overtaken });

    const places = positionsOf(await plane.members());
    expect(places).toEqual(await placesOneAfterAnother(slightlyOther, ['i-11', 'i-10']));
  });

  test('their rechecks at once leave each with a place of its own, and no arc that two of them split in the same half', async () => {
    await ringHolds(BYTES_IN_THE_FIRST_HALF);
    await Promise.all(NEWCOMERS.map(claim));
    await ringHolds(BYTES_IN_THE_SECOND_HALF);

    await Promise.all(NEWCOMERS.map((id) => recheckPlace(optionsOf(id))));

    const members = (await plane.members()).filter(({ position }) => position !== undefined);
    const places = members.map(({ position }) => position as Identifier).sort((a, b) => a - b);
    expect(new Set(places).size).toBe(6 + NEWCOMERS.length);
    const narrowest = Math.min(
      ...places.map((place, i) => clockwiseDistance(places.at(i - 1) ?? place, place)),
    );
    expect(narrowest).toBeGreaterThan(2 ** 16);
    expect((await claims()).map((line) => line.split(' ')[1]).sort()).toEqual([...NEWCOMERS].sort());
  });
});
