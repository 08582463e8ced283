import { afterEach, describe, expect, test } from 'vitest';
import { ChordfsError } from '../../domain/errors.ts';
import { hashName } from '../../domain/file-key.ts';
import { MemoryStore } from '../../node/store/memory-store.ts';
import { nodeAt, plainCluster, type TestNode } from './cluster.ts';
import { contentOf, download, inPieces, never, upload } from './content.ts';

type Cluster = Awaited<ReturnType<typeof plainCluster>>;
let cluster: Cluster;

afterEach(() => cluster.network.frozen.clear());

/** A name that `n0` owns; its replicas in a ring of more than two are then n0, n1 and n2. */
function nameOwnedBy(instanceId: string, from = 0): string {
  for (let i = from; ; i++) {
    if (cluster.control.trueOwner(hashName(`name ${i}`))?.instanceId === instanceId) return `name ${i}`;
  }
}

function holders(name: string): string[] {
  return cluster.nodes
    .filter(({ store }) => store.getRecord(name) !== undefined)
    .map(({ member }) => member.instanceId);
}

describe('a write', () => {
  test('is durable on every replica, record and content, when it is acknowledged', async () => {
    cluster = await plainCluster(5);
    const name = nameOwnedBy('n1');

    const { chunks, uploadId } = await upload(nodeAt(cluster.nodes, 4).plane.files, name, contentOf(100));

    expect(holders(name)).toEqual(['n1', 'n2', 'n3']);
    const has = ({ store }: TestNode) =>
      store.getChunk({ key: chunks[0]?.key ?? hashName(''), uploadId, index: 0 }) !== undefined;
    expect(cluster.nodes.filter(has).map(({ member }) => member.instanceId)).toEqual(['n1', 'n2', 'n3']);
  });

  test.each([0, 1, 2])(
    'is acknowledged when copy %i cannot be made, and refused when two cannot',
    async (down) => {
      cluster = await plainCluster(5);
      const name = nameOwnedBy('n0');
      const failing = new Set([`n${down}`]);
      cluster.network.onCall = ({ to, operation }) => {
        if (operation === 'put-chunk' && failing.has(to)) throw new ChordfsError('PEER_UNREACHABLE');
      };
      const files = nodeAt(cluster.nodes, 4).plane.files;

      const staged = await files.stage(name, inPieces(contentOf(300_000)), {
        contentType: '',
        signal: never(),
      });
      await staged.commit({ onConflict: 'replace', signal: never() });
      failing.add(`n${(down + 1) % 3}`);

      await expect(
        files.stage(name, inPieces(contentOf(300_001)), { contentType: '', signal: never() }),
      ).rejects.toMatchObject({
        code: 'REPLICAS_UNAVAILABLE',
      });
      expect((await download(files, name))?.byteLength).toBe(300_000);
    },
  );

  test('goes on without a full replica, and says so when too many are full', async () => {
    const full = (i: number) => new MemoryStore(i === 1 ? { capacityBytes: 10 } : {});
    cluster = await plainCluster(4, full);
    const name = nameOwnedBy('n0');
    await upload(nodeAt(cluster.nodes, 3).plane.files, name, contentOf(300_000));
    expect((await download(nodeAt(cluster.nodes, 1).plane.files, name))?.byteLength).toBe(300_000);

    cluster = await plainCluster(4, () => new MemoryStore({ capacityBytes: 10 }));

    await expect(
      upload(nodeAt(cluster.nodes, 3).plane.files, name, contentOf(300_000)),
    ).rejects.toMatchObject({
      code: 'VOLUME_FULL',
    });
  });

  test('repeated because its answer was lost happens once', async () => {
    cluster = await plainCluster(4);
    const name = nameOwnedBy('n0');
    let lostCount = 0;
    const { handlers } = nodeAt(cluster.nodes, 0).plane;
    cluster.network.handlers.set('n0', {
      ...handlers,
      commit: async (...args) => {
        const answer = await handlers.commit(...args);
        if (lostCount++ === 0) throw new ChordfsError('PEER_UNREACHABLE');
        return answer;
      },
    });

    const record = await upload(nodeAt(cluster.nodes, 3).plane.files, name, contentOf(10), {
      onConflict: 'refuse',
    });

    expect(lostCount).toBe(2);
    expect(nodeAt(cluster.nodes, 0).store.getRecord(name)?.version).toEqual(record.version);
  });

  test('of a paused owner never outlives what its successor acknowledged', async () => {
    cluster = await plainCluster(4);
    const name = nameOwnedBy('n0');
    const [old, successor, replica] = [0, 1, 2].map((i) => nodeAt(cluster.nodes, i));
    if (old === undefined || successor === undefined || replica === undefined) throw new Error('no nodes');
    await upload(old.plane.files, name, contentOf(1, 1));
    // The old owner issues more versions, and each reaches the third replica alone.
    cluster.network.onCall = ({ from, to }) => {
      if (from === 'n0' && to !== 'n2') throw new ChordfsError('PEER_UNREACHABLE');
    };
    const putRecord = old.store.putRecord.bind(old.store);
    old.store.putRecord = async () => {
      throw new ChordfsError('STORAGE_FAILED');
    };
    for (let i = 0; i < 5; i++) {
      const late = await old.plane.files.stage(name, inPieces(contentOf(2, i)), {
        contentType: '',
        signal: never(),
      });
      const signal = AbortSignal.timeout(100);
      await expect(late.commit({ onConflict: 'replace', signal })).rejects.toThrow();
    }
    const stray = replica.store.getRecord(name)?.version.counter ?? 0;
    old.store.putRecord = putRecord;

    cluster.network.down.add('n2');
    await cluster.control.remove('n0');
    await upload(successor.plane.files, name, contentOf(3, 9));
    cluster.network.down.delete('n2');

    expect(successor.store.getRecord(name)?.version.counter).toBeGreaterThan(stray);
    const kept = await replica.store.putRecord(successor.store.getRecord(name) as never);
    expect(kept.uploadId).toBe(successor.store.getRecord(name)?.uploadId);
  });
});

describe('a read', () => {
  test('comes from the other replicas while the owner is silent', async () => {
    cluster = await plainCluster(4);
    const name = nameOwnedBy('n0');
    await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(100));

    cluster.network.frozen.add('n0');

    expect((await download(nodeAt(cluster.nodes, 3).plane.files, name))?.equals(contentOf(100))).toBe(true);
  });

  test('is refused rather than answered by one replica that may be behind', async () => {
    cluster = await plainCluster(4);
    const name = nameOwnedBy('n0');
    await upload(nodeAt(cluster.nodes, 1).plane.files, name, contentOf(100));

    cluster.network.down.add('n0');
    cluster.network.down.add('n1');

    const open = nodeAt(cluster.nodes, 3).plane.files.open(name, { signal: AbortSignal.timeout(1_000) });
    await expect(open).rejects.toThrow();
  });

  test('goes on from another replica when one dies in the middle of a file', async () => {
    cluster = await plainCluster(5);
    const bytes = contentOf(30_000_000, 3);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'film', bytes);
    const file = await nodeAt(cluster.nodes, 0).plane.files.open('film', { signal: never() });

    const pieces: Uint8Array[] = [];
    for await (const piece of file?.read({ start: 0, end: bytes.byteLength }, never()) ?? []) {
      pieces.push(Buffer.from(piece));
      if (pieces.length === 2) cluster.network.down.add('n2');
      if (pieces.length === 4) cluster.network.frozen.add('n3');
    }

    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  });

  test('of a range touches only the chunks it needs', async () => {
    cluster = await plainCluster(5);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'film', contentOf(30_000_000, 3));
    cluster.network.counts.clear();
    cluster.network.payloadBytes = 0;

    await download(nodeAt(cluster.nodes, 0).plane.files, 'film', { start: 5_000_000, end: 5_000_100 });

    expect(cluster.network.counts.get('get-chunk') ?? 0).toBeLessThanOrEqual(1);
  });

  test('of many files, each given up after its first piece, holds nothing back', async () => {
    cluster = await plainCluster(4);
    await upload(nodeAt(cluster.nodes, 0).plane.files, 'film', contentOf(1_000_000));

    for (let i = 0; i < 50; i++) {
      const file = await nodeAt(cluster.nodes, i).plane.files.open('film', { signal: never() });
      let gotBytes = 0;
      for await (const piece of file?.read({ start: 0, end: 1_000_000 }, never()) ?? []) {
        gotBytes = piece.byteLength;
        break;
      }
      expect(gotBytes).toBeGreaterThan(0);
    }
  });
});

describe('a listing', () => {
  test('comes from the replicas of an arc whose owner is down', async () => {
    cluster = await plainCluster(4);
    for (let i = 0; i < 30; i++)
      await upload(nodeAt(cluster.nodes, i).plane.files, `name ${i}`, contentOf(1));

    cluster.network.down.add('n2');

    expect(await nodeAt(cluster.nodes, 0).plane.files.list({ signal: never() })).toHaveLength(30);
  });

  test('fails rather than leave an arc out', async () => {
    cluster = await plainCluster(4);

    for (const name of ['n1', 'n2', 'n3']) cluster.network.down.add(name);

    const list = nodeAt(cluster.nodes, 0).plane.files.list({ signal: AbortSignal.timeout(1_000) });
    await expect(list).rejects.toThrow();
  });
});
