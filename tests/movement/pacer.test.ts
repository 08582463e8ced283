import { expect, test } from 'vitest';
import { WriteTracker } from '../../node/files/write-tracker.ts';
import { Pacer } from '../../node/movement/pacer.ts';
import { never } from '../files/content.ts';

const MIB = 2 ** 20;

/** How many transfers of a size begin when very many are asked for at once. */
function startedAtOnce(pacer: Pacer, sizeBytes: number): Promise<number> {
  let count = 0;
  for (let i = 0; i < 200; i++) {
    void pacer.run({ sizeBytes, urgency: 'urgent', signal: never() }, () => {
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
  for (const sizeBytes of [2_000, 2 * MIB]) {
    const freely = await startedAtOnce(pacerFor({}), sizeBytes);

    const yielding = await startedAtOnce(pacerFor({ isServingClients: true }), sizeBytes);

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
