import { afterEach, describe, expect, test } from 'vitest';
import { nodeAt, plainCluster } from './cluster.ts';
import { contentOf, never, upload } from './content.ts';

type Cluster = Awaited<ReturnType<typeof plainCluster>>;

describe('a receipt', () => {
  let cluster: Cluster;
  afterEach(async () => {
    for (const { store } of cluster.nodes) await store.close();
  });
  const receiptOf = async (name: string) => {
    const receipt = await nodeAt(cluster.nodes, 3).plane.files.receipt(name, { signal: never() });
    if (receipt === undefined) throw new Error(`no receipt of ${name}`);
    return receipt;
  };

  test('of a file in three chunks names the version, every copy with its checksum and when it was verified', async () => {
    const before = Date.now();
    cluster = await plainCluster(5);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'film', contentOf(9_000_000));

    const receipt = await receiptOf('film');

    expect(receipt).toMatchObject({
      isComplete: true,
      missing: [],
      record: { name: 'film', sizeBytes: 9_000_000 },
    });
    expect(receipt.record.version.counter).toBeGreaterThan(0);
    expect(receipt.copies.map(({ part }) => part)).toEqual(
      (['record', 0, 1, 2] as const).flatMap((part) => [part, part, part]),
    );
    for (const { part, sha256, verifiedMs, publicIp } of receipt.copies) {
      expect(sha256).toBe(part === 'record' ? receipt.record.sha256 : receipt.record.chunks[part]?.sha256);
      expect(verifiedMs).toBeGreaterThanOrEqual(before);
      expect(publicIp).toMatch(/^127\./);
    }
    const places = receipt.copies.map(({ part, instanceId }) => `${part} on ${instanceId}`);
    expect(new Set(places).size).toBe(12);
  });

  test('says which copy is gone and from where', async () => {
    cluster = await plainCluster(4);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'film', contentOf(9_000_000));
    const [copy] = (await receiptOf('film')).copies.filter(({ part }) => part === 1);
    const { record } = await receiptOf('film');
    const holder = cluster.nodes.find(({ member }) => member.instanceId === copy?.instanceId);
    await holder?.store.removeChunk({
      key: record.chunks[1]?.key ?? record.version.nodeId,
      uploadId: record.uploadId,
      index: 1,
    });

    const receipt = await receiptOf('film');

    expect(receipt.isComplete).toBe(false);
    expect(receipt.missing).toEqual([
      { instanceId: copy?.instanceId, publicIp: copy?.publicIp, part: 1, reason: 'absent' },
    ]);
    expect(receipt.copies).toHaveLength(11);
  });

  test('tells a member that does not answer from one that has no copy', async () => {
    cluster = await plainCluster(4);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'film', contentOf(9_000_000));
    cluster.network.down.add('n0');

    const { missing, copies } = await receiptOf('film');

    expect(missing.length).toBeGreaterThan(0);
    expect(new Set(missing.map(({ reason, instanceId }) => `${reason} ${instanceId}`))).toEqual(
      new Set(['no answer n0']),
    );
    expect(copies.length + missing.length).toBe(12);
  });

  test('of a file that is empty is its record alone, of one that is not there nothing', async () => {
    cluster = await plainCluster(3);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'empty', contentOf(0));

    expect((await receiptOf('empty')).copies.map(({ part }) => part)).toEqual(['record', 'record', 'record']);
    expect(await nodeAt(cluster.nodes, 0).plane.files.receipt('none', { signal: never() })).toBeUndefined();
  });
});

describe('a Range read', () => {
  test.each([
    ['inside one chunk', 5_000_000, 5_000_010, 1],
    ['across the end of a chunk', 4_194_300, 4_194_310, 2],
    ['of a whole chunk to the byte', 4_194_304, 8_388_608, 1],
    ['of the last byte', 19_999_999, 20_000_000, 1],
    ['of everything', 0, 20_000_000, 5],
  ])('%s touches no chunk but those that hold its bytes', async (_, start, end, chunkCount) => {
    const cluster = await plainCluster(4);
    const content = contentOf(20_000_000);
    const { plane } = nodeAt(cluster.nodes, 1);
    await upload(plane.files, 'film', content);
    const touched = () => {
      const { fromDisk, fromPeers } = plane.chunks.counters();
      return fromDisk + fromPeers;
    };
    const before = touched();

    const file = await plane.files.open('film', { signal: never() });
    const pieces: Uint8Array[] = [];
    for await (const piece of file?.read({ start, end }, never()) ?? []) pieces.push(piece);

    expect(Buffer.concat(pieces).equals(content.subarray(start, end))).toBe(true);
    expect(touched() - before).toBe(chunkCount);
    for (const { store } of cluster.nodes) await store.close();
  });
});
