import { beforeEach, expect, test } from 'vitest';
import { reconcile } from '../../functions/reconcile.ts';
import { TestPlane } from './test-plane.ts';

let plane: TestPlane;
beforeEach(() => {
  plane = new TestPlane();
  plane.isScaleInOn = true;
});

const MINUTE_MS = 60_000;
const STEP_MINUTES = 5;
const HOUR_MS = 3_600_000;

/** Members that have been there for long; i-3 has the least to hand over. */
async function ringOf(ownPercents: readonly number[]): Promise<void> {
  await plane.putRing();
  for (const [index, ownPercent] of ownPercents.entries()) {
    const stored = ownPercent + (ownPercents.at(index - 1) ?? 0) + (ownPercents.at(index - 2) ?? 0);
    const set = { stateMs: plane.nowMs - HOUR_MS };
    await plane.putMember(`i-${index + 1}`, { usedPercent: stored, ownPercent, set });
  }
  plane.group.view.desiredCapacity = ownPercents.length;
  plane.group.view.maxSize = 10;
  await plane.reportRing();
}

/** The reconciler runs, and every member reports. It counts time, not runs, so every fifth minute is enough. */
async function minutes(count: number): Promise<void> {
  for (let minute = 0; minute < count; minute += STEP_MINUTES) {
    plane.nowMs += STEP_MINUTES * MINUTE_MS;
    await plane.reportRing();
    await reconcile(plane.dependencies())({ 'detail-type': 'Scheduled Event' });
  }
}

test('after half an hour of low water one member is taken out: the one whose removal leaves the smallest maximum', async () => {
  await ringOf([10, 8, 2, 9, 6]);

  await minutes(30);
  expect(plane.group.terminated).toEqual([]);
  await minutes(5);

  expect(plane.group.terminated).toEqual(['i-3']);
  expect(plane.group.view.desiredCapacity).toBe(4);
  const [event] = plane.bus.events;
  expect(event?.detailType).toBe('Scale In Requested');
  expect(event?.detail).toMatchObject({ before: { desiredCapacity: 5 }, after: { desiredCapacity: 4 } });
  expect(event?.detail.cause).toMatch(/low since .*without i-3 the fullest would store 29 %/);
});

test('a group that did not ask for it never shrinks', async () => {
  plane.isScaleInOn = false;
  await ringOf([1, 1, 1, 1, 1]);

  await minutes(90);

  expect(plane.group.terminated).toEqual([]);
});

test('one goes at a time: while it drains, and for another half hour, nobody else is taken', async () => {
  await ringOf([1, 1, 1, 1, 1, 1]);

  await minutes(75);
  expect(plane.group.terminated).toHaveLength(1);
});

test('never below three members while the ring holds files, nor below MinSize', async () => {
  await ringOf([1, 1, 1]);
  await minutes(40);
  expect(plane.group.terminated).toEqual([]);
});

test('MinSize above that is kept', async () => {
  await ringOf([1, 1, 1, 1]);
  plane.group.view.minSize = 4;
  await minutes(40);
  expect(plane.group.terminated).toEqual([]);
});

test('only when the others hold everything well below the threshold', async () => {
  // Four members at 39 % would be three at 52: below the threshold of 70, but not by enough to stay there.
  await ringOf([18, 18, 18, 18]);

  await minutes(60);

  expect(plane.group.terminated).toEqual([]);
});

test('water that rises in between starts the half hour anew', async () => {
  await ringOf([2, 2, 2, 2]);
  await minutes(25);
  plane.isAlarming = true;
  await minutes(5);
  plane.isAlarming = false;

  await minutes(25);
  expect(plane.group.terminated).toEqual([]);
  await minutes(10);

  expect(plane.group.terminated).toHaveLength(1);
});

test('a crash between decision and call is made up for once, and never twice', async () => {
  await ringOf([2, 2, 2, 2]);
  await minutes(30);
  plane.group.failNext = new Error('throttled');

  await expect(minutes(5)).rejects.toThrow('throttled');
  await minutes(15);

  expect(plane.group.terminated).toHaveLength(1);
  expect(plane.bus.types().filter((type) => type === 'Scale In Requested')).toHaveLength(1);
});

test('a victim that has gone by other means meanwhile is not asked for again', async () => {
  await ringOf([2, 2, 2, 2]);
  await minutes(30);
  plane.group.failNext = new Error('throttled');
  await expect(minutes(5)).rejects.toThrow('throttled');
  plane.group.view.desiredCapacity = 3;

  await minutes(15);

  expect(plane.group.terminated).toEqual([]);
  expect((await plane.meta()).scaleInVictim).toBe('');
});

test('a victim that MinSize has come to protect is not asked for, and growth is not held up by it', async () => {
  await ringOf([2, 2, 2, 2]);
  await minutes(30);
  plane.group.failNext = new Error('throttled');
  await expect(minutes(5)).rejects.toThrow('throttled');
  plane.group.view.minSize = 4;

  await minutes(5);

  expect(plane.group.terminated).toEqual([]);
  expect((await plane.meta()).scaleInVictim).toBe('');
});
