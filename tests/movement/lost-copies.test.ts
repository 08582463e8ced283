/** Item 5.5 of what users of other rings report (docs/protocol.md): an original dropped before its copy had arrived. */
import { afterEach, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { contentOf, download, upload } from '../files/content.ts';
import { MovingCluster } from './moving-cluster.ts';

const QUARTER = 2 ** 30;
const NAMES = Array.from({ length: 24 }, (_, i) => `file ${i}`);
const PULLS: readonly string[] = ['read-records', 'get-chunk', 'get-chunks'];
const PUSHES: readonly string[] = ['put-record', 'put-chunk'];
let cluster: MovingCluster;

afterEach(async () => {
  await cluster.stop();
  expect(cluster.bugs).toEqual([]);
});

/** Counts what it has lost: the first of every `n` calls of these, and all of those. */
function lose(n: number, some: readonly string[], all: readonly string[] = []): { count: number } {
  const lost = { count: 0 };
  let calls = 0;
  cluster.network.onCall = ({ to, operation }) => {
    const isLost = all.includes(operation) || (some.includes(operation) && calls++ % n === 0);
    if (!isLost) return;
    lost.count += 1;
    throw new ChordfsError('PEER_UNREACHABLE', { to });
  };
  return lost;
}

test.each([2, 3, 5])('a join and a leave lose no copy when one of %i is lost on its way', async (n) => {
  cluster = new MovingCluster();
  await cluster.form(['n0', 'n1', 'n2', 'n3'], (i) => (i + 1) * QUARTER - 1);
  for (const [i, name] of NAMES.entries()) await upload(cluster.files(i), name, contentOf(500 + i, i));

  const inJoin = lose(n, [...PULLS, ...PUSHES]);
  await cluster.join('new', QUARTER / 2);
  // Nobody fetches what the leaver does not give: it must not go before everything has arrived.
  const inLeave = lose(n, PUSHES, PULLS);
  await cluster.drain('n2');

  cluster.network.onCall = () => undefined;
  expect(Math.min(inJoin.count, inLeave.count)).toBeGreaterThan(0);
  expect(NAMES.filter((name) => cluster.copiesOf(name) < 3)).toEqual([]);
  for (const [i, name] of NAMES.entries()) {
    expect((await download(cluster.files(i), name))?.equals(contentOf(500 + i, i)), name).toBe(true);
  }
});
