import { expect, test } from 'vitest';
import { CHUNK_SIZE_BYTES } from '../../domain/file-record.ts';
import { batchesOf, costOfChunk } from '../../node/movement/batches.ts';
import { contentOf, sha256, upload } from '../files/content.ts';
import { MovingCluster } from './moving-cluster.ts';

test('every item is in one batch, in order, and no batch of several is larger than a message', () => {
  const items = Array.from({ length: 500 }, (_, i) => ({ sizeBytes: (i * 7_919) % CHUNK_SIZE_BYTES }));

  const batches = batchesOf(items, costOfChunk);

  expect(batches.flatMap((batch) => batch.items)).toEqual(items);
  for (const batch of batches) {
    const sizeBytes = batch.items.reduce((sum, item) => sum + item.sizeBytes, 0);
    expect(sizeBytes).toBeLessThanOrEqual(CHUNK_SIZE_BYTES);
    expect(batch.items.length).toBeGreaterThan(0);
  }
});

test('a newcomer asks for many small files at once', async ({ onTestFinished }) => {
  const cluster = new MovingCluster();
  onTestFinished(() => cluster.stop());
  await cluster.form(['n0', 'n1', 'n2'], (i) => i * 1_000_000_000);
  const contents = Array.from({ length: 120 }, (_, i) => contentOf(2_000 + i, i));
  for (const [i, bytes] of contents.entries()) await upload(cluster.files(i), `file ${i}`, bytes);
  cluster.network.counts.clear();

  const { store } = await cluster.join('n3', 3_500_000_000);

  const asked = cluster.network.counts.get('read-records') ?? 0;
  const held = contents.filter((bytes, i) => store.getRecord(`file ${i}`)?.sha256 === sha256(bytes));
  expect(held.length).toBeGreaterThan(50);
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(held.length / 4);
});
