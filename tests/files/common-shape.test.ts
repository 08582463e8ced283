import { expect, test } from 'vitest';
import { contentTypeOf } from '../../node/http/content-type.ts';
import { MovingCluster } from '../movement/moving-cluster.ts';
import { nodeAt, plainCluster } from './cluster.ts';
import { contentOf, inPieces, never, upload } from './content.ts';

/** What one node stores all others must be able to take, or movement stops at it. */
const OVERLONG_TYPE = 'text/x-a;a='.padEnd(2_000, 'b');

test('a declared type is kept up to 255 characters, and is none beyond', () => {
  const longest = `text/x-a;a=${'b'.repeat(80)}`;
  expect(contentTypeOf('notes', longest)).toBe(longest);
  const parameters = ';a=bbbbbbbbbbbbbbbbbbbb'.repeat(60);
  expect(contentTypeOf('notes', `text/x-a${parameters}`)).toBe('application/octet-stream');
});

test('what members would refuse of each other a node refuses of itself, and stores nothing', async () => {
  const { nodes } = await plainCluster(1);
  const { plane, store } = nodeAt(nodes, 0);
  const options = { contentType: OVERLONG_TYPE, signal: never() };
  const staged = await plane.files.stage('poison', inPieces(contentOf(10)), options);

  const committing = staged.commit({ onConflict: 'replace', signal: never() });

  await expect(committing).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  expect(store.getRecord('poison')).toBeUndefined();
});

test('a record beyond what may come in now, stored by an earlier node, still goes round', async () => {
  const cluster = new MovingCluster();
  await cluster.form(['a'], () => 2 ** 31);
  const { store, files } = cluster.node('a');
  const record = await upload(files, 'old', contentOf(10));
  const version = { ...record.version, counter: record.version.counter + 1 };
  await store.putRecord({ ...record, version, contentType: OVERLONG_TYPE });

  const joiner = await cluster.join('b', 2 ** 30);

  expect(joiner.store.getRecord('old')?.contentType).toHaveLength(2_000);
  await cluster.stop();
});

test('a member that answers what makes no sense is not suspected of being dead', async () => {
  const { nodes, network } = await plainCluster(2);
  const [asking, asked] = [nodeAt(nodes, 0), nodeAt(nodes, 1)];
  network.handlers.set('n1', {
    ...asked.plane.handlers,
    sees: async () => ({ reply: { seen: 'perhaps' } as never }),
  });
  const request = { instanceId: 'n0', incarnation: 1, phase: 'active' as const, waitMs: 0 };
  const member = { ...asked.member, phase: 'active' as const };
  const answer = asking.plane.calls.call(member, 'sees', request, { signal: never(), timeoutMs: 1_000 });

  await expect(answer).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' });
  expect(asking.ring.suspected).toEqual([]);
});

test('a tag that no version can have fails the condition through every node, however long it is', async () => {
  const { nodes } = await plainCluster(3);
  await upload(nodeAt(nodes, 0).plane.files, 'tagged', contentOf(10));

  for (const { plane } of nodes) {
    const ifMatch = ['x'.repeat(300)];
    const failed = { code: 'PRECONDITION_FAILED' };
    await expect(upload(plane.files, 'tagged', contentOf(11), { ifMatch })).rejects.toMatchObject(failed);
    await expect(plane.files.delete('tagged', { ifMatch, signal: never() })).rejects.toMatchObject(failed);
  }
});
