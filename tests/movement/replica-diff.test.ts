import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashName } from '../../domain/file-key.ts';
import { compareVersions, type FileRecord } from '../../domain/file-record.ts';
import { identifier, inArc } from '../../domain/identifier.ts';
import { diffRecords } from '../../node/movement/replica-diff.ts';
import { nodeAt, plainCluster } from '../files/cluster.ts';
import { never } from '../files/content.ts';

function record(name: string, counter: number): FileRecord {
  const content = {
    sizeBytes: 0,
    sha256: '',
    contentType: '',
    modifiedMs: 0,
    uploadId: `u${counter}`,
    chunks: [],
  };
  return { name, version: { counter, nodeId: identifier(0) }, deleted: counter % 3 === 0, ...content };
}

const held = fc.dictionary(fc.nat(1_500).map(String), fc.integer({ min: 1, max: 3 }), {
  maxKeys: 1_200,
  size: 'max',
});
const point = fc.nat(0xffffffff).map((value) => identifier(value));

test('two members find out exactly what each of them lacks', async () => {
  await fc.assert(
    fc.asyncProperty(held, held, point, point, async (mine, theirs, from, to) => {
      const { nodes } = await plainCluster(2);
      const [here, there] = [nodeAt(nodes, 0), nodeAt(nodes, 1)];
      for (const [name, counter] of Object.entries(mine)) await here.store.putRecord(record(name, counter));
      for (const [name, counter] of Object.entries(theirs))
        await there.store.putRecord(record(name, counter));
      const member = { ...there.member, phase: 'active' as const };
      const options = {
        store: here.store,
        calls: here.plane.calls,
        member,
        arc: { from, to },
        signal: never(),
      };

      const lacking = { here: [] as string[], there: [] as string[] };
      for await (const { lackingHere, lackingThere } of diffRecords(options)) {
        lacking.here.push(...lackingHere.map(({ name }) => name));
        lacking.there.push(...lackingThere.map(({ name }) => name));
      }

      const newer = (a: Record<string, number>, b: Record<string, number>) =>
        Object.entries(a)
          .filter(
            ([name, counter]) => inArc(hashName(name), from, to) && newerThan(record(name, counter), b[name]),
          )
          .map(([name]) => name)
          .sort();
      expect(lacking.here.sort()).toEqual(newer(theirs, mine));
      expect(lacking.there.sort()).toEqual(newer(mine, theirs));
    }),
    { numRuns: 25 },
  );
});

function newerThan(a: FileRecord, counter: number | undefined): boolean {
  return counter === undefined || compareVersions(a.version, record(a.name, counter).version) > 0;
}
