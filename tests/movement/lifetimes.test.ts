import { afterEach, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import { identifier } from '../../domain/identifier.ts';
import { contentOf, download, inPieces, never, upload } from '../files/content.ts';
import { eventually, MovingCluster } from './moving-cluster.ts';

/** How long what was written stays, and how long what was removed stays away. */
const QUARTER = 2 ** 30;
const AT_ONCE = { chunkGraceMs: 0, tombstoneMinAgeMs: 0 };
let cluster: MovingCluster;

afterEach(async () => {
  await cluster.stop();
  expect(cluster.bugs).toEqual([]);
});

async function ringOf(count: number, options = {}): Promise<void> {
  cluster = new MovingCluster(options);
  await cluster.form(
    Array.from({ length: count }, (_, i) => `n${i}`),
    (i) => (i + 1) * QUARTER - 1,
  );
}

async function collectEverywhere(): Promise<number> {
  let removedCount = 0;
  for (const { movement } of cluster.nodes.values()) removedCount += await movement.collectGarbage(never());
  return removedCount;
}

function chunkCount(): number {
  const whole = { from: identifier(0), to: identifier(0) };
  return [...cluster.nodes.values()].reduce(
    (sum, { store }) => sum + store.scanChunks(whole, { limit: 1_000 }).length,
    0,
  );
}

test('a slow reader of a replaced version reads it to its end while garbage is collected', async () => {
  await ringOf(4, { garbageLimits: { chunkGraceMs: 3_600_000, tombstoneMinAgeMs: 0 } });
  const before = contentOf(3 * CHUNK_SIZE_BYTES, 1);
  await upload(cluster.files(), 'film', before);
  const file = await cluster.files(1).open('film', { signal: never() });
  const reading = file?.read({ start: 0, end: before.byteLength }, never())[Symbol.asyncIterator]();
  const pieces = [Buffer.from((await reading?.next())?.value ?? [])];

  await upload(cluster.files(2), 'film', contentOf(10, 2));
  for (let round = 0; round < 3; round++) await collectEverywhere();

  for (let piece = await reading?.next(); piece?.done === false; piece = await reading?.next())
    pieces.push(Buffer.from(piece.value));
  expect(Buffer.concat(pieces).equals(before)).toBe(true);
});

test('two names with one identifier are two files: stored, moved, replaced and deleted each for itself', async () => {
  await ringOf(4, { garbageLimits: AT_ONCE });
  // Found by search.
  const [one, other] = ['report 97096.pdf', 'report 140839.pdf'] as const;
  expect(hashName(one)).toBe(hashName(other));
  await upload(cluster.files(0), one, contentOf(100, 1));
  await upload(cluster.files(1), other, contentOf(200, 2));
  await cluster.join('new', hashName(one) + 1);
  const seen = async (name: string) =>
    Promise.all([...cluster.nodes.values()].map(({ files }) => download(files, name)));

  for (const bytes of await seen(one)) expect(bytes?.equals(contentOf(100, 1))).toBe(true);
  for (const bytes of await seen(other)) expect(bytes?.equals(contentOf(200, 2))).toBe(true);
  // A former replica that still has its copies would offer them again; in a real ring a tombstone outlives it by a day.
  await eventually(async () => chunkCount() === 6, 'three copies of each, and no more');
  await cluster.files(2).delete(one, { signal: never() });
  await eventually(async () => {
    await collectEverywhere();
    return chunkCount() === 3;
  }, 'only the chunk of the other is left');

  for (const bytes of await seen(one)) expect(bytes).toBeUndefined();
  for (const bytes of await seen(other)) expect(bytes?.equals(contentOf(200, 2))).toBe(true);
});

test('a delete that a replica missed is not undone when it comes back, though all others could forget it', async () => {
  await ringOf(4, { garbageLimits: AT_ONCE });
  const name = 'gone';
  await upload(cluster.files(), name, contentOf(50, 1));
  const owner = cluster.control.trueOwner(hashName(name))?.instanceId;
  const [away = ''] = [...cluster.nodes.entries()]
    .filter(([id, { store }]) => id !== owner && store.getRecord(name) !== undefined)
    .map(([id]) => id);
  const { store, member } = cluster.node(away);
  await cluster.kill(away);
  await cluster.files().delete(name, { signal: never() });

  // Still a member, only silent: as long as it may come back with the file, the tombstone stays.
  for (let round = 0; round < 3; round++) await collectEverywhere();
  await cluster.bury(away);
  await cluster.join(away, member.id, { store, incarnation: 2 });

  for (const { files } of cluster.nodes.values())
    expect(await files.open(name, { signal: never() })).toBeUndefined();
  await eventually(
    () => store.getRecord(name)?.deleted !== false,
    'the one that came back knows of the delete',
  );
});

test.each(['answers', 'is silent'])(
  'an upload after a tombstone was forgotten is not undone by a replica that kept it and %s while others forget',
  async (how) => {
    await ringOf(4, { garbageLimits: { ...AT_ONCE, chunkGraceMs: 3_600_000 } });
    const name = 'again';
    await upload(cluster.files(), name, contentOf(50, 1));
    await cluster.files().delete(name, { signal: never() });
    const holders = [...cluster.nodes.values()].filter(({ store }) => store.getRecord(name) !== undefined);
    const owner = cluster.control.trueOwner(hashName(name))?.instanceId ?? '';
    const keeper = holders.find(({ member }) => member.instanceId !== owner);
    const tombstone = keeper?.store.getRecord(name);
    if (keeper === undefined || tombstone === undefined) throw new Error('nobody holds it');
    let isSilent = false;
    cluster.network.onCall = ({ to, operation }) => {
      if (to !== keeper.member.instanceId) return;
      if (operation === 'remove-tombstone' && how === 'is silent') isSilent = true;
      if (isSilent) throw new ChordfsError('DEADLINE_EXCEEDED');
    };
    await cluster.node(owner).movement.collectGarbage(never());
    expect(cluster.node(owner).store.getRecord(name)?.deleted).toBe(how === 'is silent' ? true : undefined);

    await upload(cluster.node(owner).files, name, contentOf(60, 2));
    cluster.network.onCall = () => undefined;
    // As a disk would that was copied before, or that missed the removal.
    await keeper.store.putRecord(tombstone);

    await eventually(() => cluster.copiesOf(name) === 3, 'all copies');
    for (const { files } of cluster.nodes.values())
      expect((await download(files, name))?.equals(contentOf(60, 2))).toBe(true);
  },
);

test('an upload whose receiver the ring gave up and took in again meanwhile keeps its chunks', async () => {
  await ringOf(4, { garbageLimits: AT_ONCE });
  const { member, ring, files, movement } = cluster.node('n0');
  const content = contentOf(2 * CHUNK_SIZE_BYTES + 10, 7);
  const staged = await files.stage('slow', inPieces(content), { contentType: '', signal: never() });

  // The same process in its next life, as after a pause.
  await cluster.control.remove('n0');
  const again = { ...member, incarnation: member.incarnation + 1 };
  ring.enter = (phase) => cluster.control.setPhase(again, phase);
  await ring.enter('joining');
  await movement.syncAsJoiner(never());
  for (let round = 0; round < 3; round++) expect(await collectEverywhere()).toBe(0);

  await staged.commit({ onConflict: 'replace', signal: never() });
  expect((await download(cluster.files(2), 'slow'))?.equals(content)).toBe(true);
});
