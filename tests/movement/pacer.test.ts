import { expect, test } from 'vitest';
import { WriteTracker } from '../../node/files/write-tracker.ts';
import { Pacer } from '../../node/movement/pacer.ts';
import { never } from '../files/content.ts';

const MIB = 2 ** 20;

/** How many transfers of a size begin when very many are asked for at once. */
function startedAtOnce(pacer: Pacer, costBytes: number): Promise<number> {
  let count = 0;
  for (let i = 0; i < 1_000; i++) {
    void pacer.run({ costBytes, urgency: 'urgent', signal: never() }, () => {
      count++;
      return new Promise(() => undefined);
    });
  }
  return new Promise((resolve) => setImmediate(() => resolve(count)));
}

function pacerFor({ isServingClients = false, isPeerBusy = false, ageMs = 0 }): Pacer {
  let nowMs = 0;
  const pacer = new Pacer(
    () => isServingClients,
    () => nowMs,
  );
  if (isPeerBusy) pacer.peerIsBusy();
  nowMs += ageMs;
  return pacer;
}

test('less moves at once while this node serves clients', async () => {
  for (const costBytes of [MIB / 16, 2 * MIB]) {
    const freely = await startedAtOnce(pacerFor({}), costBytes);

    const yielding = await startedAtOnce(pacerFor({ isServingClients: true }), costBytes);

    expect(yielding).toBeGreaterThan(0);
    expect(yielding).toBeLessThanOrEqual(freely / 2);
  }
});

test('less moves at once while those it is pulled from serve clients, and for a while after', async () => {
  const freely = await startedAtOnce(pacerFor({}), 2 * MIB);

  expect(await startedAtOnce(pacerFor({ isPeerBusy: true }), 2 * MIB)).toBeLessThanOrEqual(freely / 2);
  expect(await startedAtOnce(pacerFor({ isPeerBusy: true, ageMs: 10_000 }), 2 * MIB)).toBe(freely);
});

test('a node counts as serving clients also between two of their requests', async () => {
  let nowMs = 0;
  const tracker = new WriteTracker(() => nowMs);
  expect(tracker.isServingClients).toBe(false);

  await tracker.read(async () => expect(tracker.isServingClients).toBe(true));

  nowMs += 50;
  expect(tracker.isServingClients).toBe(true);
  nowMs += 10_000;
  expect(tracker.isServingClients).toBe(false);
});

test('what is urgent is let through before what is not', async () => {
  const pacer = pacerFor({ isServingClients: true });
  const begun: string[] = [];
  const end: (() => void)[] = [];
  const ask = (urgency: 'urgent' | 'background') =>
    pacer.run({ costBytes: 20 * MIB, urgency, signal: never() }, () => {
      begun.push(urgency);
      return new Promise<void>((resolve) => end.push(resolve));
    });
  const asked = [ask('background'), ask('background'), ask('urgent')];

  for (let turn = 0; turn < 10; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    end.shift()?.();
  }

  await Promise.all(asked);
  expect(begun).toEqual(['background', 'urgent', 'background']);
});
