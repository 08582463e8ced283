import { afterAll, beforeAll, expect, test } from 'vitest';
import { attack, callHonestly, type HonestRecord, holdOpen } from '../../bench/hostile-callers.ts';
import { Dice } from '../../bench/hostile-inputs.ts';
import { type FixtureNode, RingFixture } from '../ring/ring-fixture.ts';

/** The small brother of `npm run fuzz:rpc`, which sends 100,000 to a process of its own. */
const INPUTS = 2_000;
const ATTACKERS = 32;
const SEED = 7;

const fixture = new RingFixture('127.22.11');
let node: FixtureNode;

beforeAll(async () => {
  node = await fixture.create(1, 1_000);
});
afterAll(() => fixture.stop());

test('hostile callers, 1,000 half-open connections among them, cost no honest caller an answer', async () => {
  const target = { host: node.self.privateIp, port: node.self.chordPort };
  const record: HonestRecord = { latenciesMs: [], failures: [] };
  let isOver = false;
  const honest = callHonestly(target, { isOver: () => isOver, record });
  const letGo = await holdOpen(target, 1_000);
  let next = 0;
  await Promise.all(
    Array.from({ length: ATTACKERS }, async () => {
      while (next < INPUTS) await attack(target, new Dice(SEED * 1_000_003 + next++));
    }),
  );
  await letGo();
  isOver = true;
  await honest;

  expect(record.failures).toEqual([]);
  expect(record.latenciesMs.length).toBeGreaterThan(0);
  expect(fixture.bugs).toEqual([]);
  await expect.poll(() => node.ring.counters().server.connectionsOpen, { timeout: 10_000 }).toBe(0);
  expect(node.ring.snapshot().members).toHaveLength(1);
});
